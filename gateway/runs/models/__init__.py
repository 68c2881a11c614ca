"""The models that answer runs: the interface, and one module for each kind of model."""
