"""What a run found, as tables, figures and targets.

Must not be here: how anything is measured.
"""
