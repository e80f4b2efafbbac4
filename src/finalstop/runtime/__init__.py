"""THE ENGINE ROOM: the only place where things wait on things.

It is handed a log, a source and a clock; it names no concrete log, no web framework and no wire
format but the upstream's own.
"""
