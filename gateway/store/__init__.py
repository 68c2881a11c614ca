"""The database: statements, reads and writes, connections; the only place with SQL."""
