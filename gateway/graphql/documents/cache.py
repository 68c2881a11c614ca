"""Query text to a document that may be executed: parsed, measured and validated once, then kept.

Must not be here: execution, HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from graphql import FieldNode, GraphQLError, OperationType, get_operation_ast, validate
from graphql.validation import NoFragmentCyclesRule, UniqueFragmentNamesRule

from gateway.domain.principal import Scope
from gateway.fast_executor.unsupported import Reason, Unsupported
from gateway.graphql.documents.cost import Costs
from gateway.graphql.documents.limits import LIMITS, check_document, parse_within
from gateway.graphql.documents.lru import Bounded
from gateway.graphql.documents.measure import NotMeasurable
from gateway.graphql.documents.trusted import sha256
from gateway.graphql.documents.validation import RULES
from gateway.graphql.documents.weights import MIB, weigh, weigh_refusal
from gateway.graphql.refusal import Refused, Stage

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode
    from graphql.validation import ASTValidationRule

    from gateway.fast_executor import Plan

KEPT: Final = 40 * MIB  # of documents with all that is made of them: 350 of an application, which has some dozens
REFUSED: Final = 2 * MIB  # of what was said of documents that were refused
_HANDED_OVER: Final = frozenset({"createMessage"})  # it waits for one thing alone, which it may leave at any time


@dataclass(slots=True)
class Operation:
    """One operation of a valid document, and what is found out about it only once."""

    document: DocumentNode
    node: OperationDefinitionNode
    costs: Costs
    uses: int = 0
    plan: Plan | Unsupported | None = None
    kind: OperationType = field(init=False)
    word: str = field(init=False)  # for its kind
    scope: Scope = field(init=False)
    lets_go: bool = field(init=False)  # as soon as it is cancelled
    object_bytes: int = field(init=False)  # what an object in its answer takes at the least, with a comma

    def __post_init__(self) -> None:
        """Look what it does, and whether it reads, or hands its work over to the store in one piece."""
        self.kind = self.node.operation
        text = self.document.loc.source.body if self.document.loc else "@"
        self.object_bytes = (
            len("{},") if "@" in text else len(',"a":{}')
        )  # of which directives may leave all fields out
        self.word = self.kind.value
        self.scope = Scope.WRITE if self.kind is OperationType.MUTATION else Scope.READ
        roots = self.node.selection_set.selections
        is_handed_over = all(isinstance(each, FieldNode) and each.name.value in _HANDED_OVER for each in roots)
        self.lets_go = self.node.operation is not OperationType.MUTATION or is_handed_over

    @property
    def name(self) -> str | None:
        """The name that its author gave it."""
        return self.node.name.value if self.node.name else None


class Document:
    """A valid document; its operations are found by name, or by none where there is one alone."""

    def __init__(
        self, schema: GraphQLSchema, node: DocumentNode, without_plan: frozenset[str | None] = frozenset()
    ) -> None:
        self._schema = schema
        self._node = node
        self._without_plan = without_plan
        self._operations: dict[str | None, Operation | None] = {}  # by all names that it has, and None

    def operation(self, name: str | None) -> Operation | None:
        """Find an operation, the same one each time."""
        if name in self._operations:
            return self._operations[name]
        node = get_operation_ast(self._node, name)
        if node is None:
            return None
        own = node.name.value if node.name else None
        if own not in self._operations:
            plan = Unsupported(Reason.SIZE) if own in self._without_plan else None
            costs = Costs(self._schema, self._node, node)
            self._operations[own] = Operation(self._node, node, costs, plan=plan)
        self._operations[name] = self._operations[own]
        return self._operations[own]


class Documents:
    """The documents of one server; those used least lately make room for new ones."""

    def __init__(self, schema: GraphQLSchema, *, introspection: bool = True, suggestions: bool = True) -> None:
        self._schema = schema
        self._introspection = introspection
        self._suggestions = suggestions
        self.kept: Bounded[Document] = Bounded(KEPT)
        self.refused: Bounded[tuple[Stage, list[GraphQLError]]] = Bounded(REFUSED)

    def known(self, text: str) -> Document | None:
        """Give the document of a text that was read before, if it is still kept."""
        return self.kept.get(text)

    def read(self, text: str) -> Document:
        """Give the document of a text.

        Errors: Refused.
        """
        return self.known(text) or self.learn(text)

    def learn(self, text: str) -> Document:
        """Parse, measure and validate a text that is not known, and keep what comes of it.

        Errors: Refused, for a document that cannot be parsed, is too large, or is not valid.
        """
        text_hash = sha256(text)
        known = self.refused.get(text_hash)
        if known is not None:
            raise Refused(*known)  # anew, since a raised one gathers tracebacks
        try:
            node = parse_within(text)
            self._validate(node)
        except Refused as refused:
            errors = [_without_nodes(each) for each in refused.errors]
            self.refused.put(text_hash, (refused.stage, errors), weigh_refusal(errors))
            raise Refused(refused.stage, errors) from None
        weight, without_plan = weigh(text, node)
        document = Document(self._schema, node, without_plan)
        self.kept.put(text, document, weight)
        return document

    def _validate(self, document: DocumentNode) -> None:
        try:
            check_document(document, introspection=self._introspection)
        except NotMeasurable:
            self._apply(document, (UniqueFragmentNamesRule, NoFragmentCyclesRule))
        self._apply(document, RULES)

    def _apply(self, document: DocumentNode, rules: tuple[type[ASTValidationRule], ...]) -> None:
        errors = validate(
            self._schema, document, rules, max_errors=LIMITS.errors, hide_suggestions=not self._suggestions
        )
        if errors:
            raise Refused(Stage.VALIDATION, errors)


def _without_nodes(error: GraphQLError) -> GraphQLError:
    """Keep what is said of an error, and not the document that it was found in."""
    bare = GraphQLError(error.message, extensions=error.extensions)
    bare.locations = error.locations
    return bare
