"""THE WELL: a request goes down, chunks of bytes come up. Knows nothing of events or viewers."""
