"""Operations that run again and again: an executor for graphql-core that finds out once what it can know beforehand.

A plan is graphql-core's own executor, with its look-ups done once for an operation and with quick ways past it for
fields that need no resolver. Where anything is not as a quick way expects, graphql-core executes that part again, so
a plan may be slower than it could be, and never answers anything else.
Must not be here: Strawberry, and anything of threads: the package knows graphql-core alone.
"""

from gateway.fast_executor.hints import MARKER, Attribute, Child, Direct, Itself, Known, Sampled, Way, Ways, Written
from gateway.fast_executor.meter import Meter
from gateway.fast_executor.metered_executor import MeteredExecutor
from gateway.fast_executor.plan import Plan, compile_operation
from gateway.fast_executor.unsupported import Reason, Unsupported

__all__ = [
    "MARKER",
    "Attribute",
    "Child",
    "Direct",
    "Itself",
    "Known",
    "Meter",
    "MeteredExecutor",
    "Plan",
    "Reason",
    "Sampled",
    "Unsupported",
    "Way",
    "Ways",
    "Written",
    "compile_operation",
]
