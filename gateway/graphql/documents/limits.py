"""Limits on documents and variables, checked before graphql-core validates: validation itself can be made expensive.

Measured against this schema: GraphiQL's introspection has 183 tokens, 15 levels and 469 fields; a query that selects
everything of a page of threads and their messages has 160 tokens, 10 levels, 66 fields and 10 pairs. What is refused
takes less than 100 ms of one core of a small machine in all.
Must not be here: the numbers (`domain.bounds`), the cost of an operation, which needs the schema and coerced variables
(`cost`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from graphql import (
    FragmentDefinitionNode,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    TokenKind,
    parse,
)

from gateway.domain import bounds
from gateway.graphql.documents.measure import Measure, TooNested, count_pairs, fragments_of, merge, response_key
from gateway.graphql.refusal import Refused, Stage, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import DocumentNode
    from graphql.language import Token

    from gateway.domain.bounds import Bound
    from gateway.graphql.documents.measure import Fragments, Totals

MAX_ERRORS: Final = 10  # of validation and of coercion; each repeats a part of the document, 3 ms each at worst
_OPENING: Final = (TokenKind.BRACKET_L, TokenKind.BRACE_L)
_CLOSING: Final = (TokenKind.BRACKET_R, TokenKind.BRACE_R)


def parse_within_limits(text: str) -> DocumentNode:
    """Parse a document within the limits on its text.

    Errors: Refused.
    """
    try:
        return parse(
            text,
            max_lexical_tokens=bounds.TOKENS.number,
            max_comments=bounds.COMMENTS.number,
            max_source_length=bounds.DOCUMENT.number,
        )
    except GraphQLSyntaxError as error:
        if "Parsing aborted" not in error.message:
            raise Refused(Stage.SYNTAX, [error]) from None
        code = "too_deep" if "nested" in error.message else "document_too_large"
        raise refusal(Stage.VALIDATION, code, error.message.removeprefix("Syntax Error: ")) from None


def check_document(document: DocumentNode, *, introspection: bool = True) -> None:
    """Refuse a document that exceeds a limit; every definition is measured, used or not.

    Errors: Refused; NotMeasurable for documents that validation refuses.
    """
    tokens = list(_tokens_of(document))
    if _value_depth(tokens) > bounds.VALUE_DEPTH.number:
        _refuse(bounds.VALUE_DEPTH, "levels of nested lists and objects in a value", "too_deep")
    # Errors repeat names in messages and paths.
    if any(each.kind is TokenKind.NAME and each.end - each.start > bounds.NAME.number for each in tokens):
        _refuse(bounds.NAME, "characters in a name")
    fragments = fragments_of(document)
    measure = Measure(fragments)
    fields = pairs = 0
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        try:
            totals = measure.totals(definition.selection_set)
        except TooNested:
            _refuse(bounds.DEPTH, "levels of nested fragments")
        fields += totals.fields
        _check_totals(_with_own_directives(definition, totals), fields)
        if totals.reads_schema and not introspection:
            message = "Introspection is disabled on this server."
            raise refusal(Stage.VALIDATION, "introspection_disabled", message)
        pairs += count_pairs(definition.selection_set, fragments, bounds.PAIRS.number)
        if pairs > bounds.PAIRS.number:
            _refuse(bounds.PAIRS, "pairs of fields or fragments with the same response path")
        if isinstance(definition, OperationDefinitionNode):
            _check_root(definition, fragments)


def _tokens_of(document: DocumentNode) -> Iterator[Token]:
    token = document.loc.start_token if document.loc else None
    while token:
        yield token
        token = token.next


def _value_depth(tokens: list[Token]) -> int:
    """Find the depth of nested lists and objects; only values are within parentheses."""
    deepest = depth = parentheses = 0
    for token in tokens:
        parentheses += (token.kind is TokenKind.PAREN_L) - (token.kind is TokenKind.PAREN_R)
        if parentheses and token.kind in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif parentheses and token.kind in _CLOSING:
            depth -= 1
    return deepest


def _with_own_directives(definition: OperationDefinitionNode | FragmentDefinitionNode, totals: Totals) -> Totals:
    own = len(definition.directives or ())
    own += sum(len(variable.directives or ()) for variable in definition.variable_definitions or ())
    return totals._replace(directives=totals.directives + own)


def _check_totals(totals: Totals, fields: int) -> None:
    for limit, found, things in (
        (bounds.DEPTH, totals.depth, "levels of nested fields"),
        (bounds.FIELDS, fields, "fields, counted at every spread of their fragment"),
        (bounds.ALIASES, totals.aliases, "aliases, counted at every spread of their fragment"),
        (bounds.DIRECTIVES, totals.directives, "directives"),
    ):
        if found > limit.number:
            _refuse(limit, things)


def _check_root(operation: OperationDefinitionNode, fragments: Fragments) -> None:
    fields, _ = merge([operation.selection_set], fragments)
    if len({response_key(field) for _, field in fields}) > bounds.ROOT_FIELDS.number:
        _refuse(bounds.ROOT_FIELDS, "root fields")


def _refuse(limit: Bound, things: str, code: str | None = None) -> NoReturn:
    message = f"Invalid 'query': expected at most {limit.number} {things}."
    raise refusal(Stage.VALIDATION, code or limit.code, message, limit=limit.number)


def check_variables(variables: dict[str, Any]) -> None:
    """Refuse variables that are nested too deeply or contain too many values.

    Errors: Refused.
    """
    if variables and _values(variables, 1) > bounds.VARIABLE_VALUES.number:
        raise _variables_too_large()


def _values(holder: dict[str, Any] | list[Any], depth: int) -> int:
    """Count the values in a list or an object at this depth."""
    if depth > bounds.VALUE_DEPTH.number:
        raise _variables_too_large()
    count = len(holder)
    for value in holder.values() if type(holder) is dict else holder:
        if type(value) is dict or type(value) is list:  # JSON has no subclasses
            count += _values(value, depth + 1)
    return count


def _variables_too_large() -> Refused:
    message = (
        f"Invalid 'variables': expected at most {bounds.VALUE_DEPTH.number} levels of nested lists and objects and "
        f"{bounds.VARIABLE_VALUES.number} values."
    )
    return refusal(Stage.VARIABLES, "variables_too_large", message, param="variables")
