"""gunicorn's configuration for `--preload`: signal handlers set before the fork are forgotten."""


def post_worker_init(_worker):
    from finalstop.adapters.background import drain_on_signals
    from tests.adapters.apps.terms import BACKGROUND

    drain_on_signals(BACKGROUND)
