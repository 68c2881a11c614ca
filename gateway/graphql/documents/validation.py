"""The validation rules: those of graphql-core, and two that it and graphql-js 16 lack.

Both are compared by a corpus of documents in the tests. Every rule of graphql-js 16.15 is one of graphql-core 3.3.2's.
Must not be here: limits on a document (`limits`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from graphql import (
    GraphQLError,
    get_nullable_type,
    is_input_object_type,
    is_non_null_type,
    is_nullable_type,
    type_from_ast,
)
from graphql.validation import ScalarLeafsRule, ValidationRule, specified_rules

if TYPE_CHECKING:
    from graphql import OperationDefinitionNode
    from graphql.validation import ASTValidationRule


_HINT: Final = " Did you mean "


class NonNullInOneOfRule(ValidationRule):
    """A variable in a `@oneOf` input is never null, also where the input itself is required.

    Both implementations check the type that contains the variable, and ignore it if that is non-null.
    Source: GraphQL, "All Variable Usages Are Allowed", IsNonNullPosition.
    """

    def leave_operation_definition(self, operation: OperationDefinitionNode, *_args: Any) -> None:
        """Check all usages of an operation's variables."""
        declared = {each.variable.name.value: each for each in operation.variable_definitions or ()}
        for usage in self.context.get_recursive_variable_usages(operation):
            definition, holder = declared.get(usage.node.name.value), usage.parent_type
            if definition is None or not is_non_null_type(holder):
                continue
            kind, given = get_nullable_type(holder), type_from_ast(self.context.schema, definition.type)
            if is_input_object_type(kind) and kind.is_one_of and is_nullable_type(given):
                name = usage.node.name.value
                message = (
                    f"Variable '${name}' is of type '{given}' but must be non-nullable to be used for OneOf Input "
                    f"Object '{kind}'."
                )
                self.report_error(GraphQLError(message, [definition, usage.node]))


class UnhintedScalarLeafsRule(ScalarLeafsRule):
    """The one rule whose suggestion graphql-core does not hide."""

    def report_error(self, error: GraphQLError) -> None:
        """Report an error, without suggestions if these are disabled."""
        if self.context.hide_suggestions:
            error = GraphQLError(error.message.partition(_HINT)[0], error.nodes)
        super().report_error(error)


RULES: Final[tuple[type[ASTValidationRule], ...]] = (
    *(UnhintedScalarLeafsRule if rule is ScalarLeafsRule else rule for rule in specified_rules),
    NonNullInOneOfRule,
)
