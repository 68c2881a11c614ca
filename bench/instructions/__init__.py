"""Instructions counted for each request.

Must not be here: what is timed.
"""
