"""Benchmarks of the server beside others on the same rows; run them by `python -m bench`.

Must not be here: anything that the server or its tests need.
"""
