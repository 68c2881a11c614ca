"""The process that serves: uvicorn with our HTTP and WebSocket protocols, and what it checks before it starts."""
