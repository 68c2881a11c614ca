"""An operation executed by graphql-core and by a plan, with comparable results."""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from graphql import (
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    NameNode,
    OperationDefinitionNode,
    execute,
    parse,
)
from graphql.type.directives import GraphQLDisableErrorPropagationDirective

from gateway.fast_executor.hints import FieldHints
from gateway.fast_executor.plan import Plan

if TYPE_CHECKING:
    from graphql import GraphQLSchema


class Result(NamedTuple):
    """A result: its data as JSON text, the keys in their order, and its formatted errors."""

    data: bytes
    errors: list[dict[str, Any]]


def to_result(result: ExecutionResult) -> Result:
    """Convert a result; stored JSON in it is parsed and serialized like all other values."""
    data = orjson.dumps(orjson.loads(orjson.dumps(result.data)))
    return Result(data, [dict(each.formatted) for each in result.errors or ()])


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    """Find the operation of a document that has one."""
    [operation] = (each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    return operation


def plan_of(schema: GraphQLSchema, document: DocumentNode | str, hints: FieldHints | None = None) -> Plan:
    """Compile the operation of a document that has one."""
    document = parse(document) if isinstance(document, str) else document
    return Plan(schema, document, operation_of(document), hints or FieldHints())


async def run_normally(
    schema: GraphQLSchema, document: DocumentNode, raw: dict[str, Any], root: Any = None, context: Any = None
) -> Result:
    """Execute an operation with graphql-core."""
    result: Any = execute(schema, document, root, context, raw)
    return to_result(await result if isawaitable(result) else result)


async def every_error(
    schema: GraphQLSchema, document: DocumentNode, raw: dict[str, Any], root: Any = None, context: Any = None
) -> list[dict[str, Any]]:
    """Execute with graphql-core without error propagation, so that no error hides another."""
    directive = DirectiveNode(name=NameNode(value=GraphQLDisableErrorPropagationDirective.name), arguments=())
    definitions = [
        OperationDefinitionNode(**{key: getattr(each, key) for key in each.keys} | {"directives": (directive,)})
        if isinstance(each, OperationDefinitionNode)
        else each
        for each in document.definitions
    ]
    return (await run_normally(schema, DocumentNode(definitions=tuple(definitions)), raw, root, context)).errors


async def run_compiled(plan: Plan, raw: dict[str, Any], root: Any = None, context: Any = None) -> Result:
    """Execute an operation with its plan."""
    variables = plan.coerce(raw)
    if isinstance(variables, list):
        return to_result(_refused(variables))
    result = plan.execute(variables, context, root)
    return to_result(await result if isawaitable(result) else result)


def _refused(errors: list[GraphQLError]) -> ExecutionResult:
    return ExecutionResult(None, errors)
