"""The two databases: how each is opened and runs a statement, and what its errors mean."""
