"""Faults that strike before there is a server to script: base URLs that cannot be reached.

Each is a context manager that yields a base URL; the fault lasts as long as the block. No event
loop is needed. All of them stay on the loopback interface.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final

# Enough to fill the queue of a socket that listens with a backlog of 0, on any kernel we know.
_QUEUE_MAX: Final = 16
_CONNECT_S: Final = 0.1
_NOT_TLS: Final = b"220 mail.example.com ESMTP ready\r\n"


@contextlib.contextmanager
def refused() -> Iterator[str]:
    """A port that is taken and that nobody listens on: connecting is refused at once."""
    with _bound() as sock:
        yield _url("http", sock)


@contextlib.contextmanager
def unresolvable() -> Iterator[str]:
    """A name that does not resolve: RFC 2606 reserves `.invalid` for this."""
    yield "http://finalstop-simulator.invalid"


@contextlib.contextmanager
def tls_garbage() -> Iterator[str]:
    """An https URL whose port greets in plain text: the TLS handshake fails at once."""
    with _bound() as sock:
        sock.listen()
        thread = threading.Thread(target=_greet_all, args=(sock,), daemon=True)
        thread.start()
        try:
            yield _url("https", sock)
        finally:
            # Closing does not wake a thread in accept(); shutting down does.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextlib.contextmanager
def connect_timeout() -> Iterator[str]:
    """A port whose accept queue is full: a connection attempt is neither taken nor refused.

    Raises:
        OSError: this kernel's queue could not be filled.
    """
    with _bound() as sock, contextlib.ExitStack() as fillers:
        sock.listen(0)
        for _ in range(_QUEUE_MAX):
            filler = fillers.enter_context(socket.socket())
            filler.settimeout(_CONNECT_S)
            try:
                filler.connect(sock.getsockname())
            except TimeoutError:
                break
        else:
            message = f"the accept queue took {_QUEUE_MAX} connections and is not full"
            raise OSError(message)
        yield _url("http", sock)


CONNECT_FAULTS: Final[dict[str, Callable[[], AbstractContextManager[str]]]] = {
    "refused": refused,
    "unresolvable": unresolvable,
    "tls-garbage": tls_garbage,
    "connect-timeout": connect_timeout,
}


def _bound() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def _url(scheme: str, sock: socket.socket) -> str:
    return f"{scheme}://127.0.0.1:{sock.getsockname()[1]}"


def _greet_all(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = sock.accept()
            with client, contextlib.suppress(OSError):
                client.settimeout(1)
                client.recv(65536)
                client.sendall(_NOT_TLS)
