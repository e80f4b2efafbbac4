"""The table: which frameworks under which servers, what is asked of each, and what is promised.

A pair is one process that is started as its users start it. Every column is promised of every
pair; where a server cannot keep it, a limit says what it does instead, and a note says why and
what a reader can do. `trial` measures; this module starts nothing.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

# What bounds the apps' streams while they are measured. Short, so that a pair takes seconds; a
# request that waits for a departure asks for more patience.
TERMS = {
    "commit_s": 0.6, "first_content_s": 2.0, "idle_s": 0.6, "keep_alive_s": 0.8, "write_s": 2.0,
    "drain_s": 2.0,
}  # fmt: skip
PATIENT = {"first_content_s": 30.0, "idle_s": 30.0}

# From a client's leaving to the closed upstream connection: issue 3 asks for it.
LEFT_S = 0.2
# What an answer may take beside what it takes by itself: asking, one sweep, a server's slowness.
ENDED_S = 1.0
# When the first words of the healthy answer must be there, which goes on for a second.
FIRST_S = 0.5
# The streams must end within the drain. The process goes when it can: gunicorn and aiohttp look
# once a second, and to take down an interpreter full of models costs 0.6 s of processor, which
# took 10 s where nine others wanted it. So this bound only tells it from a server that stays.
GONE_S = TERMS["drain_s"] + 18.0

# -- the columns ----------------------------------------------------------------------------------

HEALTHY = "healthy"
# column,             what the simulator plays,    reason,           seconds it takes by itself
ENDINGS = {
    HEALTHY:            ("text,words=24,pace_ms=80",  "complete",       1.0),
    "stall":            ("stall@mid-text",            "idle_timeout",   TERMS["idle_s"]),
    "pings only":       ("pings-forever@mid-text",    "idle_timeout",   TERMS["idle_s"]),
    "truncated":        ("fin@mid-text",              "truncated",      0.0),
    "never closed":     ("never-closed",              "complete",       0.0),
    "error mid-stream": ("error-overloaded@mid-text", "upstream_error", 0.0),
}  # fmt: skip

# column,                    where the upstream falls silent, what the client has seen when it goes
DEPARTURES = {
    "gone before the head":    ("no-head",          b""),
    "gone before the content": ("stall@after-head", b"\r\n\r\n"),
    "gone mid-stream":         ("stall@mid-text",   b'data: {"text"'),
}  # fmt: skip

# Two streams are live: one that ends by itself within the drain, and one that does not.
SHUTDOWN = "SIGTERM"
SHORT, ENDLESS = "text,words=60,pace_ms=20", "text,words=2000,pace_ms=50"

COLUMNS = (*ENDINGS, *DEPARTURES, SHUTDOWN)

# -- the pairs ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """How a server is started; PORT and APP are put in. `packages` are what its name stands for."""

    command: tuple[str, ...]
    packages: tuple[str, ...]
    exits: int = 0


@dataclass(frozen=True)
class Pair:
    """One app under one server. `headers` are what its client sends beside the request."""

    framework: str
    server: str
    command: tuple[str, ...]
    exits: int
    headers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.framework} / {self.server}"


HERE, AT = ("--host=127.0.0.1", "--port=PORT"), "--bind=127.0.0.1:PORT"
APPS = "tests.adapters.apps"
GUNICORN = ("gunicorn", AT, "--no-control-socket")
THREADS = "--threads=16"
WAITRESS = ("waitress-serve", "--listen=127.0.0.1:PORT", THREADS)
# Whole seconds; its default is 3. Nothing tells the application that the time runs.
HYPERCORN_GRACE_S = 2

# uvicorn puts the signal back and dies of it; so does what has no handler of its own.
ASGI_SERVERS = {
    "uvicorn": Server(
        ("uvicorn", *HERE, "APP"), ("uvicorn", "httptools", "uvloop"), -signal.SIGTERM
    ),
    "uvicorn, h11": Server(
        ("uvicorn", *HERE, "--http=h11", "--loop=asyncio", "APP"),
        ("uvicorn", "h11"),
        -signal.SIGTERM,
    ),
    "hypercorn": Server(
        ("hypercorn", AT, f"--graceful-timeout={HYPERCORN_GRACE_S}", "APP"), ("hypercorn",)
    ),
    "hypercorn, --workers 0": Server(("hypercorn", AT, "--workers=0", "APP"), ("hypercorn",)),
    "granian": Server(("granian", "--interface=asgi", *HERE, "APP"), ("granian",)),
    "daphne": Server(("daphne", "--bind=127.0.0.1", "--port=PORT", "APP"), ("daphne",)),
}
WSGI_SERVERS = {
    "gunicorn, gthread": Server(
        (*GUNICORN, "--worker-class=gthread", THREADS, "APP"), ("gunicorn",)
    ),
    "gunicorn, gthread, --preload": Server(
        (*GUNICORN, "--worker-class=gthread", THREADS, "--preload",
         "--config=python:tests.stacks.after_fork", "APP"),
        ("gunicorn",),
    ),
    "gunicorn, gevent": Server((*GUNICORN, "--worker-class=gevent", "APP"), ("gunicorn", "gevent")),
    "waitress": Server((*WAITRESS, "APP"), ("waitress",), -signal.SIGTERM),
    "waitress, lookahead": Server(
        (*WAITRESS, "--channel-request-lookahead=1", "APP"), ("waitress",), -signal.SIGTERM
    ),
}  # fmt: skip
WORKER = Server((*GUNICORN, "--worker-class=uvicorn_worker.UvicornWorker", "APP"),
                ("gunicorn", "uvicorn-worker", "uvicorn"))  # fmt: skip
AIOHTTP_WORKER = Server((*GUNICORN, "--worker-class=aiohttp.GunicornWebWorker", "APP"),
                        ("gunicorn", "aiohttp"))  # fmt: skip
OWN = {
    "Flask": Server(("flask", "--app=APP", "run", *HERE), ("werkzeug",), -signal.SIGTERM),
    "Django, WSGI": Server(
        ("python", "-m", f"{APPS}.django_sync_app", "127.0.0.1:PORT"), ("django",), -signal.SIGTERM
    ),
    "aiohttp": Server(("python", "-m", f"{APPS}.aiohttp_app", "PORT"), ("aiohttp",)),
}

ASGI_APPS = {
    "Starlette": "starlette_app:app",
    "FastAPI": "fastapi_app:app",
    "Litestar": "litestar_app:app",
    "Quart": "quart_app:app",
    "Django, ASGI": "django_app:app",
    "plain ASGI": "asgi_app:app",
}
WSGI_APPS = {"Flask": "flask_app:app", "Django, WSGI": "django_sync_app:app"}
# These make the response themselves, and pull its body: a server's second way is of interest.
_PULLED = ("Quart", "Django, ASGI")
# framework, app, what the client sends
BEHIND = {
    "Starlette + BaseHTTPMiddleware": ("starlette_app:app_behind_base", ()),
    "Starlette + GZipMiddleware": ("starlette_app:app_behind_gzip", ("accept-encoding: gzip",)),
}
PACKAGES = {
    "Starlette": "starlette", "FastAPI": "fastapi", "Litestar": "litestar", "Quart": "quart",
    "Django": "django", "Flask": "flask", "aiohttp": "aiohttp",
}  # fmt: skip


def _pair(
    framework: str, name: str, server: Server, app: str, headers: tuple[str, ...] = ()
) -> Pair:
    command = tuple(word.replace("APP", f"{APPS}.{app}") for word in server.command)
    return Pair(framework, name, command, server.exits, headers)


PAIRS = (
    *(_pair(framework, name, server, app)
      for framework, app in ASGI_APPS.items() for name, server in ASGI_SERVERS.items()
      if name != "hypercorn, --workers 0" or framework in _PULLED),
    _pair("FastAPI", "gunicorn, uvicorn-worker", WORKER, ASGI_APPS["FastAPI"]),
    *(_pair(name, "uvicorn", ASGI_SERVERS["uvicorn"], app, headers)
      for name, (app, headers) in BEHIND.items()),
    _pair("aiohttp", "its own runner", OWN["aiohttp"], "aiohttp_app:app"),
    _pair("aiohttp", "gunicorn, GunicornWebWorker", AIOHTTP_WORKER, "aiohttp_app:app"),
    *(_pair(framework, name, server, app)
      for framework, app in WSGI_APPS.items() for name, server in WSGI_SERVERS.items()),
    _pair("Flask", "werkzeug", OWN["Flask"], WSGI_APPS["Flask"]),
    _pair("Django, WSGI", "runserver", OWN["Django, WSGI"], WSGI_APPS["Django, WSGI"]),
)  # fmt: skip

# -- what cannot be kept --------------------------------------------------------------------------


@dataclass(frozen=True)
class Limit:
    """What `servers` do instead, in these columns, with these frameworks; none named is all.

    `left_s` bounds a departure; at SIGTERM `ended_s` bounds the streams' end, and `endless` is how
    the one that does not end by itself ends: a reason, or "cut" for a body without a proper end.
    """

    servers: tuple[str, ...]
    columns: tuple[str, ...]
    says: str
    frameworks: tuple[str, ...] = ()
    left_s: float = LEFT_S
    ended_s: float = TERMS["drain_s"]
    endless: str = "draining"

    def holds(self, pair: Pair, column: str) -> bool:
        return (
            pair.server in self.servers
            and column in self.columns
            and (not self.frameworks or pair.framework in self.frameworks)
        )


_WRITES_S = TERMS["commit_s"] + 2 * TERMS["keep_alive_s"] + LEFT_S
_GRACE_S = HYPERCORN_GRACE_S + ENDED_S
_OURS = ("Starlette", "FastAPI", "Litestar", "plain ASGI")

LIMITS: dict[str, Limit] = {
    "lookahead": Limit(
        ("waitress",),
        tuple(DEPARTURES),
        "waitress as it comes shows nothing of the connection: a departure is noticed when a "
        "keep-alive cannot be written, after two `keep_alive_s` at most (30 s by default; before "
        "the head `commit_s` more). Start it with `--channel-request-lookahead=1`.",
        left_s=_WRITES_S,
    ),
    "runserver": Limit(
        ("runserver",),
        tuple(DEPARTURES),
        "Django's development server shows nothing of the connection either, with the same bound. "
        "It was started with `--noreload`: the reloader runs the application outside of the main "
        "thread, where no signal can be listened to.",
        left_s=_WRITES_S,
    ),
    "grace": Limit(
        ("hypercorn",),
        (SHUTDOWN,),
        "hypercorn tells its workers nothing of the signal, so there is no drain: what still runs "
        f"at its `--graceful-timeout` (here {HYPERCORN_GRACE_S} s, by default 3) is ended "
        "`draining` then. Set it to what you want to grant, or run `--workers 0`, where the drain "
        "works.",
        _OURS,
        ended_s=_GRACE_S,
    ),
    "grace-cut": Limit(
        ("hypercorn",),
        (SHUTDOWN,),
        "The same, but Quart and Django cancel a view alike for a client that left and for a "
        "server that ends: at the timeout the stream ends `abandoned` and its body is cut, so its "
        "reader sees a broken answer, not a whole one. `--workers 0` cures it, as its row shows.",
        _PULLED,
        ended_s=_GRACE_S,
        endless="cut",
    ),
}


# No server, no column: nothing but what is promised of all.
PROMISED = Limit((), (), "")


def limit_of(pair: Pair, column: str) -> tuple[str, Limit]:
    """The bounds of a cell, and the name of the note that explains them; "" where none need be."""
    found = [(name, limit) for name, limit in LIMITS.items() if limit.holds(pair, column)]
    assert len(found) <= 1, f"{pair.name}, {column}: two limits: {found}"
    return found[0] if found else ("", PROMISED)
