"""HTTP for both faces: middleware, request bodies, headers, origins and health probes."""
