"""What both faces share of HTTP: bodies, headers, origins, request ids."""
