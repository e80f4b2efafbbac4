"""The event loop of this room is the gateway's own, uvloop; modules that ask for it run on both."""

from tests.gateway.running import LOOPS


def pytest_asyncio_loop_factories(config, item):
    both = getattr(item.module, "ON_BOTH_LOOPS", False)
    return LOOPS if both else {"uvloop": LOOPS["uvloop"]}
