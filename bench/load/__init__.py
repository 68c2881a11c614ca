"""Clients that send requests, and what is measured with them.

Must not be here: how results are shown.
"""
