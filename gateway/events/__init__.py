"""How one process hears of what another has committed: hints to look, never the facts themselves."""
