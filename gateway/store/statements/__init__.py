"""Builders of SQL statements, pure functions of tables."""
