"""THE LAW: events, endings, limits, timers, and the lifecycle that turns one into the other.

This room knows no clock, no socket, no task and no log. It is handed `now` and it answers.
"""
