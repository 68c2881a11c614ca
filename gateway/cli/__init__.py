"""The command line: commands, and what operators do beside the server."""
