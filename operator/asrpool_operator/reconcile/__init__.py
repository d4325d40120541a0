"""Observe, decide, apply: one pool, once a second. The only caller of `cluster` and `scrape`."""
