"""The languages: bytes <-> frames <-> events, each format in a module of its own.

This room is pure and synchronous. It may not know of sockets, clocks, logging or waiting, and it
never decides that a stream is over: it says what the bytes say.
"""
