"""The two databases: engines, connections, and all that differs between SQLite and PostgreSQL."""
