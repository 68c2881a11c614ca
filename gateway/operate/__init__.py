"""What operators do beside the server, and what they are told."""
