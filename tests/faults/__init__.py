"""Real faults: what is around a server breaks, and the fault stays where it is."""
