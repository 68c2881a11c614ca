"""Runs: the worker that has threads answered by a model, and the models themselves; optional, and above `core`."""
