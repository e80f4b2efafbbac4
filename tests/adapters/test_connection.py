"""What a WSGI environ lets us see of the client's connection, and do to it."""

from __future__ import annotations

import select
import socket
import time

import pytest

from finalstop.adapters.connection import Connection


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def connection(ours, name="gunicorn.socket", protocol="HTTP/1.1"):
    return Connection({name: ours, "SERVER_PROTOCOL": protocol})


@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
def test_a_client_is_there_until_it_closes(pair, name):
    ours, theirs = pair
    gone = connection(ours, name).gone
    assert gone is not None
    assert not gone()
    theirs.sendall(b"a pipelined request")
    assert not gone()
    theirs.close()
    assert gone()


def test_a_client_that_only_stops_sending_counts_as_gone(pair):
    ours, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    gone = connection(ours).gone
    assert gone is not None
    assert gone()


def test_a_socket_that_the_server_has_closed_is_gone(pair):
    ours, _ = pair
    gone = connection(ours).gone
    assert gone is not None
    ours.close()
    assert gone()


def test_waitress_is_asked():
    answers = iter([False, True])
    gone = Connection({"waitress.client_disconnected": lambda: next(answers)}).gone
    assert gone is not None
    assert [gone(), gone()] == [False, True]


def test_where_the_server_shows_nothing_nobody_can_tell():
    unknown = Connection({})
    assert unknown.gone is None
    unknown.cut()  # there is nothing to cut, and nothing to complain about


# protocol,  is the socket this answer's own
CUTS = [("HTTP/1.1", True), ("HTTP/1.0", True), ("HTTP/2", False)]


@pytest.mark.parametrize(("protocol", "own"), CUTS, ids=[row[0] for row in CUTS])
def test_a_cut_tears_the_connection_unless_others_use_it(pair, protocol, own):
    ours, theirs = pair
    connection(ours, protocol=protocol).cut()
    theirs.setblocking(False)
    if own:
        assert theirs.recv(1) == b""
    else:
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


class ReadableOnly:
    """A `poll` like the one that gevent puts in its place: it never says that a peer hung up."""

    def register(self, number, mask):
        pass

    def poll(self, timeout_ms):
        return []


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="TCP tells its state on Linux only")
@pytest.mark.parametrize("leave", [lambda it: it.close(), lambda it: it.shutdown(socket.SHUT_WR)])
def test_a_client_is_missed_under_gevent_too(monkeypatch, leave):
    monkeypatch.setattr(select, "poll", ReadableOnly)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with ours, theirs:
        gone = connection(ours).gone
        assert gone is not None
        theirs.sendall(b"a pipelined request")
        assert not gone()
        leave(theirs)
        assert until(gone)


def test_what_is_no_tcp_is_there_until_a_write_fails(monkeypatch, pair):
    monkeypatch.setattr(select, "poll", ReadableOnly)
    ours, theirs = pair
    theirs.close()
    gone = connection(ours).gone
    assert gone is not None
    assert not gone()


def until(condition, within_s=2.0):
    over_at = time.monotonic() + within_s
    while not condition() and time.monotonic() < over_at:
        pass
    return condition()
