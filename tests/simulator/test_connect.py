"""Connect faults: each fails in its own way, and only while it lasts."""

import socket
import ssl
import threading
from urllib.parse import urlsplit

import pytest

from finalstop.simulator import connect
from finalstop.simulator.connect import connect_timeout, refused, tls_garbage, unresolvable


def address(url):
    parts = urlsplit(url)
    return parts.hostname, parts.port


def test_a_refused_port_refuses():
    with refused() as url, pytest.raises(ConnectionRefusedError):
        socket.create_connection(address(url), timeout=1)


def test_an_unresolvable_name_does_not_resolve():
    with unresolvable() as url, pytest.raises(socket.gaierror):
        socket.getaddrinfo(urlsplit(url).hostname, 80)


def test_garbage_is_no_tls_handshake_and_the_thread_ends():
    before = threading.active_count()
    with tls_garbage() as url:
        assert url.startswith("https://")
        for _ in range(2):
            plain = socket.create_connection(address(url), timeout=2)
            with plain, pytest.raises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")
    assert threading.active_count() == before


def test_a_full_queue_neither_takes_nor_refuses():
    with connect_timeout() as url, pytest.raises(TimeoutError):
        socket.create_connection(address(url), timeout=0.1)


def test_a_queue_that_cannot_be_filled_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr(connect, "_QUEUE_MAX", 1)
    with pytest.raises(OSError, match="took 1 connections"), connect_timeout():
        pass
