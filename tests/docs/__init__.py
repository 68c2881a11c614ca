"""README.md and docs/: every block is executed or compared, and every page is complete."""
