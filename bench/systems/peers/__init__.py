"""Other servers for the same tables; each is a program.

Must not be here: anything of ours.
"""
