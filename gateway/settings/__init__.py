"""The settings of one process: where each value came from, and what it is."""
