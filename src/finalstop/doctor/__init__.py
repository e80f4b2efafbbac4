"""THE PHYSICIAN. Why does this stream hang, and what to change?

Observations (`observations`) are made by the probe and the trials, which do the I/O; `findings`
judges them and is pure; `report` says it. This room opens `core` for its words and `simulator` for
the faults, and never `wire` or `runtime`: it examines endpoints that are not ours and bytes that
are not valid.
"""
