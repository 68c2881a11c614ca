"""Runs: the worker that lets a model answer threads, and the models themselves; optional, and above `core`."""
