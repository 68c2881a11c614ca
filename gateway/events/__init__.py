"""Hints between processes that a thread has changed; a hint never contains the change itself."""
