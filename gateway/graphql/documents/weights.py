"""The maximum memory of a cached document, estimated from its text before it is executed.

The numbers were measured with tracemalloc on CPython 3.11 (`tests/graphql/test_document_memory.py` repeats that
with the worst known documents); a character count is no measure: four letters that cannot be parsed take 4,600 bytes.
Must not be here: the cache itself (`cache`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from graphql import OperationDefinitionNode

from gateway.fast_executor.unsupported import Unsupported, conditions_of
from gateway.graphql.documents.measure import Measure, fragments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import DocumentNode, GraphQLError, Node

MIB: Final = 1024 * 1024
MAX_PLAN: Final = 4 * MIB  # an operation whose plan might take more is executed without one
# Bytes.
_DOCUMENT: Final = 14_000  # without its tokens
_TOKEN: Final = 580  # with its AST node, and its share of cached costs
_OPERATION: Final = 8_000
_PLAN: Final = 6_000
_PLAN_FIELD: Final = 3_400  # at every spread of its fragment
_PLAN_TOKEN: Final = 120  # values in the document are coerced once
_LITERALS: Final = 1_000
_LITERAL: Final = 150
_REFUSAL: Final = 1_200
_ERROR: Final = 1_600
_LOCATION: Final = 200


class Weighed(NamedTuple):
    """The bytes of a document with its plans, and the operations that are too large for a plan."""

    weight: int
    without_plan: frozenset[str | None]


def weigh(text: str, document: DocumentNode) -> Weighed:
    """Estimate the memory of a valid document with all plans."""
    fragments = fragments_of(document)
    measure = Measure(fragments)
    shared = sum(map(_tokens, fragments.values()))
    weight = _DOCUMENT + 2 * sys.getsizeof(text) + _TOKEN * shared
    without_plan = set[str | None]()
    for each in document.definitions:
        if isinstance(each, OperationDefinitionNode):
            own = _tokens(each)
            plan = _plan(document, each, measure.totals(each.selection_set).fields, own + shared)
            weight += _OPERATION + _TOKEN * own
            if plan > MAX_PLAN:
                without_plan.add(each.name.value if each.name else None)
            else:
                weight += plan
    return Weighed(weight, frozenset(without_plan))


def weigh_literals(text: str, tokens: int) -> int:
    """Estimate the memory of a document that is its text and its literals."""
    return _LITERALS + 3 * sys.getsizeof(text) + _LITERAL * tokens


def weigh_refusal(errors: Sequence[GraphQLError]) -> int:
    """Estimate the memory of the errors of an invalid document."""
    return _REFUSAL + sum(
        _ERROR + sys.getsizeof(each.message) + _LOCATION * len(each.locations or ()) for each in errors
    )


def _plan(document: DocumentNode, operation: OperationDefinitionNode, fields: int, tokens: int) -> int:
    try:
        variants = 1 << len(conditions_of(document, operation))
    except Unsupported:
        return 0
    return _PLAN + variants * (_PLAN_FIELD * fields + _PLAN_TOKEN * tokens)


def _tokens(node: Node) -> int:
    count = 1
    if node.loc:
        token, last = node.loc.start_token, node.loc.end_token
        while token is not last and token.next:
            count, token = count + 1, token.next
    return count
