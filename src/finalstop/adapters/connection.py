"""The client's connection behind a WSGI environ, where the server lets it be seen.

WSGI has no word for it, but the servers have: gunicorn and werkzeug hand out the socket, waitress
a question. With a socket a departure is seen when it happens, and a client that takes nothing can
be cut off; without one, keep-alives find out, and the server's own timeouts cut.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import BuiltinFunctionType
from typing import Any, Final

from finalstop.adapters.departure import Gone

SOCKETS: Final = ("gunicorn.socket", "werkzeug.socket")
QUESTION: Final = "waitress.client_disconnected"


class Connection:
    """What can be known of, and done to, one client's connection.

    Args:
        environ: the WSGI environ of the request.
    """

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._socket: socket.socket | None = next(
            (environ[name] for name in SOCKETS if name in environ), None
        )
        self._asked: Callable[[], bool] | None = environ.get(QUESTION)
        # On HTTP/2 other answers share the socket.
        self._own = str(environ.get("SERVER_PROTOCOL", "")).startswith("HTTP/1")

    @property
    def gone(self) -> Gone | None:
        """Tells whether the client has left, also by half; None where nobody can tell."""
        if self._socket is not None and _HUNG_UP:
            return self._hung_up
        return self._asked

    def cut(self) -> None:
        """Tear the connection, so that a server thread that writes to it comes back. Best effort.

        Does nothing where the server shows no socket, or other answers use it.
        """
        if self._socket is not None and self._own:
            with suppress(OSError):
                # Not `sock.shutdown`: on a TLS socket that takes away what a thread writes to.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _hung_up(self) -> bool:
        assert self._socket is not None
        number = self._socket.fileno()
        if number < 0:
            return True
        if not isinstance(select.poll, BuiltinFunctionType):
            # gevent's own knows only readable and writable, and lets others run meanwhile.
            return _not_established(self._socket)
        poll = select.poll()
        poll.register(number, _HUNG_UP)
        return bool(poll.poll(0))


def _not_established(sock: socket.socket) -> bool:
    """What `_hung_up` asks, of TCP itself; false where it does not say, as outside of Linux."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] != _TCP_ESTABLISHED
    except OSError:
        return False


# The first byte of what `tcp(7)` calls struct tcp_info is the state; a FIN or RST changes it.
_TCP_INFO: Final[int] = getattr(socket, "TCP_INFO", -1)
_TCP_ESTABLISHED: Final = 1

# Windows has no `poll`; macOS has no RDHUP, and says HUP where Linux says RDHUP.
_HUNG_UP: Final[int] = (
    getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
    if hasattr(select, "poll")
    else 0
)
