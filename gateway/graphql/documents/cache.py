"""The cache of documents: each text is parsed, measured and validated once.

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
from gateway.graphql.documents.fast_validation import FastValidation
from gateway.graphql.documents.limits import LIMITS, check_document, parse_within
from gateway.graphql.documents.lru import LruCache
from gateway.graphql.documents.measure import NotMeasurable
from gateway.graphql.documents.trusted import sha256
from gateway.graphql.documents.validation import RULES
from gateway.graphql.documents.weights import MIB, weigh, weigh_refusal
from gateway.graphql.refusal import Refused, Stage

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode
    from graphql.validation import ASTValidationRule

    from gateway.fast_executor import Plan

KEPT: Final = 40 * MIB  # for documents and their plans: about 350; an application has some dozens
REFUSED: Final = 2 * MIB  # for the errors of invalid documents
_CANCELLABLE: Final = frozenset({"createMessage"})  # mutations that await only one call, which cancels cleanly


@dataclass(slots=True, eq=False)
class Operation:
    """One operation of a valid document, with its derived properties; it equals no other."""

    document: DocumentNode
    node: OperationDefinitionNode
    costs: Costs
    uses: int = 0
    plan: Plan | Unsupported | None = None
    inner_variables: tuple[str, ...] | None = None  # of a subscription, those that its events' answers depend on
    kind: OperationType = field(init=False)
    kind_name: str = field(init=False)
    scope: Scope = field(init=False)
    is_cancellable: bool = field(init=False)  # so the caller needs no task of its own
    object_bytes: int = field(init=False)  # minimum size of an object in the response, with a comma

    def __post_init__(self) -> None:
        """Derive the kind, the required scope and the response size from the document."""
        self.kind = self.node.operation
        text = self.document.loc.source.body if self.document.loc else "@"
        self.object_bytes = len("{},") if "@" in text else len(',"a":{}')  # directives may exclude all fields
        self.kind_name = self.kind.value
        self.scope = Scope.WRITE if self.kind is OperationType.MUTATION else Scope.READ
        roots = self.node.selection_set.selections
        has_only_cancellable = all(isinstance(each, FieldNode) and each.name.value in _CANCELLABLE for each in roots)
        self.is_cancellable = self.node.operation is not OperationType.MUTATION or has_only_cancellable

    @property
    def name(self) -> str | None:
        """The name of the operation, if it has one."""
        return self.node.name.value if self.node.name else None


class Document:
    """A valid document; its operations are found by name, or by None if there is only one."""

    def __init__(
        self, schema: GraphQLSchema, node: DocumentNode, without_plan: frozenset[str | None] = frozenset()
    ) -> None:
        self._schema = schema
        self._node = node
        self._without_plan = without_plan
        self._operations: dict[str | None, Operation | None] = {}  # by all names that were requested

    def operation(self, name: str | None) -> Operation | None:
        """Find an operation; the same object each time."""
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
    """The documents of one server, in an LRU cache."""

    def __init__(self, schema: GraphQLSchema, *, introspection: bool = True, suggestions: bool = True) -> None:
        self._schema = schema
        self._introspection = introspection
        self._suggestions = suggestions
        self._fast = FastValidation(schema)
        self.kept: LruCache[Document] = LruCache(KEPT)
        self.refused: LruCache[tuple[Stage, list[GraphQLError]]] = LruCache(REFUSED)

    def cached(self, text: str) -> Document | None:
        """Return the document of a text if it is in the cache."""
        return self.kept.get(text)

    def get(self, text: str) -> Document:
        """Return the document of a text, from the cache or parsed.

        Errors: Refused.
        """
        return self.cached(text) or self.load(text)

    def load(self, text: str) -> Document:
        """Parse, measure and validate a text, and cache the result.

        Errors: Refused, for a document that cannot be parsed, is too large, or is not valid.
        """
        text_hash = sha256(text)
        known = self.refused.get(text_hash)
        if known is not None:
            raise Refused(*known)  # a new exception, since each raise extends the traceback
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
        if not self._fast.accepts(document):
            self._apply(document, RULES)

    def _apply(self, document: DocumentNode, rules: tuple[type[ASTValidationRule], ...]) -> None:
        errors = validate(
            self._schema, document, rules, max_errors=LIMITS.errors, hide_suggestions=not self._suggestions
        )
        if errors:
            raise Refused(Stage.VALIDATION, errors)


def _without_nodes(error: GraphQLError) -> GraphQLError:
    """Copy an error without its reference to the document."""
    bare = GraphQLError(error.message, extensions=error.extensions)
    bare.locations = error.locations
    return bare
