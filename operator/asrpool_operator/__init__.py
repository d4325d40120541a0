"""The asrpool operator: observe, decide, apply."""
