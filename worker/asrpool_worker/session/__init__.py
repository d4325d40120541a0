"""Stream protocols as state machines without I/O: messages and engine events in, commands out.

Nothing here imports asyncio, an HTTP library or a model runtime, so a protocol can be tested line by line and the server
stays a thin shell.
"""
