"""An executor for operations that run again and again: it prepares once what does not change between executions.

A plan is graphql-core's executor with its look-ups cached per operation, and with fast paths for fields that need no
resolver. Where a value is not what a fast path expects, graphql-core executes that part again: a plan may be slower
than it could be, but its result never differs.
Must not be here: Strawberry, and anything about threads; the package imports graphql-core and orjson alone.
"""
