"""The recognition engine: sessions open streams, feed samples and hear events; see messages.py for the whole contract."""
