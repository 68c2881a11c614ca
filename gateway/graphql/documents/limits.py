"""Limits on documents and variables, checked before graphql-core validates: validation itself can be made expensive.

Must not be here: the cost of an operation, which needs the schema and coerced variables (`cost`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from graphql import (
    FragmentDefinitionNode,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    TokenKind,
    parse,
)

from gateway.domain import bounds
from gateway.graphql.documents.measure import Measure, NotMeasurable, TooNested, count_pairs, merge, response_key
from gateway.graphql.refusal import Refused, Stage, refusal

if TYPE_CHECKING:
    from graphql import DocumentNode

    from gateway.graphql.documents.measure import Fragments, Totals


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a document and its variables may be.

    Measured against this schema: GraphiQL's introspection has 183 tokens, 15 levels and 469 fields; a query that
    selects everything of a page of threads and their messages has 160 tokens, 10 levels, 66 fields and 10 pairs.
    The times are CPU time of one core of a small machine; what is refused must stay below 100 ms in all.
    """

    characters: int = bounds.DOCUMENT.number
    tokens: int = bounds.TOKENS.number
    name: int = bounds.NAME.number
    comments: int = bounds.COMMENTS.number
    depth: int = bounds.DEPTH.number
    fields: int = bounds.FIELDS.number  # a fragment counts wherever it is spread
    aliases: int = bounds.ALIASES.number
    root_fields: int = bounds.ROOT_FIELDS.number
    directives: int = bounds.DIRECTIVES.number
    pairs: int = bounds.PAIRS.number  # 40 fragments in one selection set fit
    value_depth: int = bounds.VALUE_DEPTH.number  # in the document or its variables
    values: int = bounds.VARIABLE_VALUES.number
    errors: int = 10  # of validation and of coercion; each repeats a part of the document, 3 ms each at worst


LIMITS: Final = Limits()
_OPENING: Final = (TokenKind.BRACKET_L, TokenKind.BRACE_L)
_CLOSING: Final = (TokenKind.BRACKET_R, TokenKind.BRACE_R)


def parse_within(text: str, limits: Limits = LIMITS) -> DocumentNode:
    """Parse a document within the limits on its text.

    Errors: Refused.
    """
    try:
        return parse(
            text,
            max_lexical_tokens=limits.tokens,
            max_comments=limits.comments,
            max_source_length=limits.characters,
        )
    except GraphQLSyntaxError as error:
        if "Parsing aborted" not in error.message:
            raise Refused(Stage.SYNTAX, [error]) from None
        code = "too_deep" if "nested" in error.message else "document_too_large"
        raise refusal(Stage.VALIDATION, code, error.message.removeprefix("Syntax Error: ")) from None


def _fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    found = [each for each in document.definitions if isinstance(each, FragmentDefinitionNode)]
    by_name = {each.name.value: each for each in found}
    if len(by_name) != len(found):
        raise NotMeasurable
    return by_name


def check_document(document: DocumentNode, limits: Limits = LIMITS, *, introspection: bool = True) -> None:
    """Refuse a document that exceeds a limit; every definition is measured, used or not.

    Errors: Refused; NotMeasurable for documents that validation refuses.
    """
    if _value_depth(document) > limits.value_depth:
        _refuse("too_deep", "levels of nested lists and objects in a value", limits.value_depth)
    if _longest_name(document) > limits.name:
        _refuse("document_too_large", "characters in a name", limits.name)
    fragments = _fragments_of(document)
    measure = Measure(fragments)
    fields = pairs = 0
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        try:
            totals = measure.totals(definition.selection_set)
        except TooNested:
            _refuse("too_deep", "levels of nested fragments", limits.depth)
        fields += totals.fields
        _check_totals(_with_own_directives(definition, totals), fields, limits)
        if totals.reads_schema and not introspection:
            message = "Introspection is disabled on this server."
            raise refusal(Stage.VALIDATION, "introspection_disabled", message)
        pairs += count_pairs(definition.selection_set, fragments, limits.pairs)
        if pairs > limits.pairs:
            _refuse("too_many_fields", "pairs of fields or fragments with the same response path", limits.pairs)
        if isinstance(definition, OperationDefinitionNode):
            _check_root(definition, fragments, limits)


def _longest_name(document: DocumentNode) -> int:
    """Find the longest name; errors repeat names in messages and paths."""
    longest = 0
    token = document.loc.start_token if document.loc else None
    while token:
        if token.kind is TokenKind.NAME:
            longest = max(longest, token.end - token.start)
        token = token.next
    return longest


def _value_depth(document: DocumentNode) -> int:
    """Find the depth of nested lists and objects; only values are within parentheses."""
    deepest = depth = 0
    parentheses = 0
    token = document.loc.start_token if document.loc else None
    while token:
        parentheses += (token.kind is TokenKind.PAREN_L) - (token.kind is TokenKind.PAREN_R)
        if parentheses and token.kind in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif parentheses and token.kind in _CLOSING:
            depth -= 1
        token = token.next
    return deepest


def _with_own_directives(definition: OperationDefinitionNode | FragmentDefinitionNode, totals: Totals) -> Totals:
    own = len(definition.directives or ())
    own += sum(len(variable.directives or ()) for variable in definition.variable_definitions or ())
    return totals._replace(directives=totals.directives + own)


def _check_totals(totals: Totals, fields: int, limits: Limits) -> None:
    for code, things, found, limit in (
        ("too_deep", "levels of nested fields", totals.depth, limits.depth),
        ("too_many_fields", "fields, counted at every spread of their fragment", fields, limits.fields),
        ("too_many_aliases", "aliases, counted at every spread of their fragment", totals.aliases, limits.aliases),
        ("too_many_directives", "directives", totals.directives, limits.directives),
    ):
        if found > limit:
            _refuse(code, things, limit)


def _check_root(operation: OperationDefinitionNode, fragments: Fragments, limits: Limits) -> None:
    fields, _ = merge([operation.selection_set], fragments)
    if len({response_key(field) for _, field in fields}) > limits.root_fields:
        _refuse("too_many_root_fields", "root fields", limits.root_fields)


def _refuse(code: str, things: str, limit: int) -> NoReturn:
    raise refusal(Stage.VALIDATION, code, f"Invalid 'query': expected at most {limit} {things}.", limit=limit)


def check_variables(variables: dict[str, Any] | None, limits: Limits = LIMITS) -> None:
    """Refuse variables that are nested too deeply or contain too many values.

    Errors: Refused.
    """
    if variables and _values(variables, 1, limits) > limits.values:
        raise _variables_too_large(limits)


def _values(holder: dict[str, Any] | list[Any], depth: int, limits: Limits) -> int:
    """Count the values in a list or an object at this depth."""
    if depth > limits.value_depth:
        raise _variables_too_large(limits)
    count = len(holder)
    for value in holder.values() if type(holder) is dict else holder:
        if type(value) is dict or type(value) is list:  # JSON has no subclasses
            count += _values(value, depth + 1, limits)
    return count


def _variables_too_large(limits: Limits) -> Refused:
    message = (
        f"Invalid 'variables': expected at most {limits.value_depth} levels of nested lists and objects and "
        f"{limits.values} values."
    )
    return refusal(Stage.VARIABLES, "variables_too_large", message, param="variables")
