"""The execution of GraphQL operations, whatever transport carries them."""
