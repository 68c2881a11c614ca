"""The cache of documents: each text is parsed, measured and validated once.

Must not be here: execution, HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from graphql import FieldNode, GraphQLError, OperationType, get_operation_ast, validate
from graphql.validation import NoFragmentCyclesRule, UniqueFragmentNamesRule

from gateway.domain import bounds
from gateway.domain.principal import Scope
from gateway.fast_executor.unsupported import Reason, Unsupported
from gateway.graphql.documents.cost import Costs
from gateway.graphql.documents.fast_validation import FastValidation
from gateway.graphql.documents.limits import MAX_ERRORS, check_document, parse_within_limits
from gateway.graphql.documents.lru import LruCache
from gateway.graphql.documents.measure import NotMeasurable
from gateway.graphql.documents.shapes import shape_of
from gateway.graphql.documents.trusted import sha256
from gateway.graphql.documents.validation import RULES
from gateway.graphql.documents.weights import MIB, weigh, weigh_literals, weigh_refusal
from gateway.graphql.literals import Literals, split
from gateway.graphql.refusal import Refused, Stage

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode
    from graphql.validation import ASTValidationRule

    from gateway.fast_executor.plan import Plan
    from gateway.graphql.documents.fast_validation import Argument
    from gateway.graphql.documents.shapes import Shape
    from gateway.graphql.literals import Split

KEPT: Final = 40 * MIB  # for documents and their plans: about 350; an application has some dozens
REFUSED: Final = 2 * MIB  # for the errors of invalid documents
LITERALS: Final = 4 * MIB  # for the texts and literals of documents that share one; some thousand of them
_CANCELLABLE: Final = frozenset({"createMessage"})  # mutations that await only one call, which cancels cleanly


@dataclass(slots=True, eq=False)
class Operation:
    """One operation of a valid document, with its derived properties; it equals no other."""

    document: DocumentNode
    node: OperationDefinitionNode
    costs: Costs
    plan: Plan | Unsupported | None = None
    inner_variables: tuple[str, ...] | None = None  # those that answers to a subscription's events use
    kind_name: str = field(init=False)
    is_mutation: bool = field(init=False)
    is_subscription: bool = field(init=False)
    scope: Scope = field(init=False)
    is_cancellable: bool = field(init=False)  # so it needs no task of its own
    object_bytes: int = field(init=False)  # minimum size of an object in the response, with a comma
    reads_event_cursor: bool = field(init=False)  # to be read before its page

    def __post_init__(self) -> None:
        """Derive the kind, the required scope and the response size from the document."""
        kind = self.node.operation
        text = self.document.loc.source.body if self.document.loc else "@ eventCursor"
        self.object_bytes = len("{},") if "@" in text else len(',"a":{}')  # directives may exclude all fields
        self.reads_event_cursor = "eventCursor" in text
        self.kind_name = kind.value
        self.is_mutation, self.is_subscription = kind is OperationType.MUTATION, kind is OperationType.SUBSCRIPTION
        self.scope = Scope.WRITE if self.is_mutation else Scope.READ
        roots = self.node.selection_set.selections
        has_only_cancellable = all(isinstance(each, FieldNode) and each.name.value in _CANCELLABLE for each in roots)
        self.is_cancellable = not self.is_mutation or has_only_cancellable

    @property
    def name(self) -> str | None:
        """The name of the operation, if it has one."""
        return self.node.name.value if self.node.name else None


class Document:
    """A valid document; its operations are found by name, or by None if there is only one."""

    literals: None = None

    def __init__(
        self,
        schema: GraphQLSchema,
        node: DocumentNode,
        without_plan: frozenset[str | None],
        shape: Shape | None,
    ) -> None:
        self.shape = shape
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
            costs = Costs(self._schema, self._node, node, self.shape.names if self.shape else ())
            self._operations[own] = Operation(self._node, node, costs, plan=plan)
        self._operations[name] = self._operations[own]
        return self._operations[own]


class SharedDocument(NamedTuple):
    """A document with its own literals; it shares the operations of all documents of its shape."""

    document: Document
    literals: Literals

    def operation(self, name: str | None) -> Operation | None:
        """Find an operation, as in a document of its own."""
        return self.document.operation(name)


class Documents:
    """The documents of one server, in an LRU cache."""

    def __init__(self, schema: GraphQLSchema, *, introspection: bool = True, suggestions: bool = True) -> None:
        self._schema = schema
        self._introspection = introspection
        self._suggestions = suggestions
        self._fast = FastValidation(schema)
        self.kept: LruCache[Document] = LruCache(KEPT)
        self.literals: LruCache[Literals] = LruCache(LITERALS)
        self.refused: LruCache[tuple[Stage, list[GraphQLError]]] = LruCache(REFUSED)

    def cached(self, text: str) -> Document | SharedDocument | None:
        """Return the document of a text if it is in the cache."""
        literals = self.literals.get(text)
        if literals is None:
            return self.kept.get(text)
        document = self.kept.get(literals.common)
        is_same = document is not None and document.shape is not None and document.shape.identity is literals.shape
        return SharedDocument(document, literals) if document is not None and is_same else None

    def load(self, text: str) -> Document | SharedDocument:
        """Parse, measure and validate a text, and cache the result; documents that differ only in literals are shared.

        Errors: Refused, for a document that cannot be parsed, is too large, or is not valid.
        """
        own = split(text) if len(text) <= bounds.DOCUMENT.number else None
        similar = self.kept.touch(own.common) if own else None
        shared = self._share(similar, own, text) if own and similar else None
        if shared is not None:
            return shared
        node, arguments = self._read(text)
        weight, without_plan = weigh(text, node)
        shape = shape_of(own, node, arguments, text) if own and arguments and similar is None else None
        document = Document(self._schema, node, without_plan, shape)
        self.kept.put(own.common if own and shape else text, document, weight)
        return (self._share(document, own, text) if own and shape else None) or document

    def _share(self, document: Document, own: Split, text: str) -> SharedDocument | None:
        """Read the literals of a text by the shape of its shared document; None if they do not fit."""
        literals = document.shape.literals(own, text) if document.shape else None
        if literals is None:
            return None
        self.literals.put(text, literals, weigh_literals(text, len(own.tokens)))
        return SharedDocument(document, literals)

    def _read(self, text: str) -> tuple[DocumentNode, list[Argument] | None]:
        text_hash = sha256(text)
        known = self.refused.get(text_hash)
        if known is not None:
            raise Refused(*known)  # a new exception, since each raise extends the traceback
        try:
            node = parse_within_limits(text)
            return node, self._validate(node)
        except Refused as refused:
            errors = [_without_nodes(each) for each in refused.errors]
            self.refused.put(text_hash, (refused.stage, errors), weigh_refusal(errors))
            raise Refused(refused.stage, errors) from None

    def _validate(self, document: DocumentNode) -> list[Argument] | None:
        try:
            check_document(document, introspection=self._introspection)
        except NotMeasurable:
            self._apply(document, (UniqueFragmentNamesRule, NoFragmentCyclesRule))
        arguments = self._fast.check(document)
        if arguments is None:
            self._apply(document, RULES)
        return arguments

    def _apply(self, document: DocumentNode, rules: tuple[type[ASTValidationRule], ...]) -> None:
        errors = validate(self._schema, document, rules, max_errors=MAX_ERRORS, hide_suggestions=not self._suggestions)
        if errors:
            raise Refused(Stage.VALIDATION, errors)


def _without_nodes(error: GraphQLError) -> GraphQLError:
    """Copy an error without its reference to the document."""
    bare = GraphQLError(error.message, extensions=error.extensions)
    bare.locations = error.locations
    return bare
