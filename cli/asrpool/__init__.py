"""The asrpool command line: stream, load, plan."""
