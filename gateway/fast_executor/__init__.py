"""An executor for operations that run again and again: it prepares once what does not change between executions.

A plan is graphql-core's executor with its look-ups cached per operation, and with fast paths for fields that need no
resolver. Where a value is not what a fast path expects, graphql-core executes that part again: a plan may be slower
than it could be, but its result never differs.
Must not be here: Strawberry, and anything about threads; the package imports graphql-core alone.
"""

from gateway.fast_executor.hints import (
    MARKER,
    Attribute,
    FieldHint,
    FieldHints,
    Key,
    Parsed,
    Preloaded,
    Resolver,
    SelectedField,
    Self,
    Serialized,
    Template,
)
from gateway.fast_executor.meter import Meter
from gateway.fast_executor.metered_executor import MeteredExecutor
from gateway.fast_executor.plan import Plan, compile_operation
from gateway.fast_executor.unsupported import Reason, Unsupported

__all__ = [
    "MARKER",
    "Attribute",
    "FieldHint",
    "FieldHints",
    "Key",
    "Meter",
    "MeteredExecutor",
    "Parsed",
    "Plan",
    "Preloaded",
    "Reason",
    "Resolver",
    "SelectedField",
    "Self",
    "Serialized",
    "Template",
    "Unsupported",
    "compile_operation",
]
