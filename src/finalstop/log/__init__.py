"""THE MEMORY: where the two halves meet. Append, follow, read; nothing of sockets or formats."""
