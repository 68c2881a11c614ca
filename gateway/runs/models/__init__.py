"""Models: what a run is answered by; the interface, and one module for each kind of model."""
