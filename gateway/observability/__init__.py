"""Records of requests: the log, metrics, traces and the audit log."""
