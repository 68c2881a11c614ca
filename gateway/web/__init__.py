"""What both faces share of HTTP: who calls, bodies, request ids."""
