"""The worker's outside: admission, HTTP and WebSocket ports, metrics, and the life of the process."""
