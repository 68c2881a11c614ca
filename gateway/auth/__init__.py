"""Authentication (API keys, JWTs, thread tokens) and rate limits."""
