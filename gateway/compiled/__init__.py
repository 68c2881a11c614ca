"""Operations that run again and again: an executor for graphql-core that finds out once what it can know beforehand.

A plan is graphql-core's own executor, with its look-ups done once for an operation and with quick ways past it for
fields that need no resolver. Where anything is not as a quick way expects, graphql-core executes that part again, so
a plan may be slower than it could be, and never answers anything else.
Must not be here: Strawberry, and anything of threads: the package knows graphql-core alone.
"""

from gateway.compiled.meter import Meter
from gateway.compiled.metered import MeteredExecutor
from gateway.compiled.plan import Plan, compile_operation
from gateway.compiled.unsupported import Reason, Unsupported
from gateway.compiled.ways import MARKER, Attribute, Child, Direct, Itself, Known, Sampled, Way, Ways, Written

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
