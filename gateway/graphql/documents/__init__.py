"""GraphQL documents: parsed, validated, measured, bounded and cached."""
