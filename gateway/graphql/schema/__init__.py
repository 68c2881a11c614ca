"""The GraphQL schema, which describes domain objects."""
