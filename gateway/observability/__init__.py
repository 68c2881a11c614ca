"""What is recorded of each request: the log, metrics, traces and the audit log."""
