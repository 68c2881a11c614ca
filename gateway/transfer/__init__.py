"""Import and export of threads as files."""
