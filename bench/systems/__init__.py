"""The systems that are compared: their processes, their databases and the rows in them.

Must not be here: what they are asked, what is measured.
"""
