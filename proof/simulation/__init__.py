"""The whole product on a loop whose time, network and order of events are one seed's.

What runs here is the real code: the gateway's application, aiohttp on both sides, the relay, the
memory log, the sweeper, the simulator. Only the event loop is ours. Start with `world.py`.
"""
