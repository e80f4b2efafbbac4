"""The simulator in a thread: the same, for callers without a loop."""

import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest

from finalstop.simulator import SimulatorThread
from tests.simulator.rawclient import MESSAGE

BODY = json.dumps({"model": "m", "max_tokens": 9, "messages": [MESSAGE]})


def posted(url, headers=None):
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    client.request("POST", "/v1/messages", BODY, {"x-api-key": "k", **(headers or {})})
    response = client.getresponse()
    content = response.read()
    client.close()
    return response.status, content


def test_it_serves_and_remembers_and_its_thread_ends():
    with SimulatorThread(default="thinking") as simulator:
        status, content = posted(simulator.url)
        assert (status, len(simulator.calls)) == (200, 1)
        assert json.loads(content)["content"][0]["type"] == "thinking"
        assert posted(simulator.url, {"x-simulator": "status-529"})[0] == 529
        simulator.forget()
        assert simulator.calls == []
        assert simulator.connections_accepted == 2
        assert simulator.connections_open <= 2
    assert not [t for t in threading.enumerate() if t.name == "finalstop-simulator"]
    simulator.stop()


def test_a_taken_port_is_an_error_where_it_is_started():
    with SimulatorThread() as first:
        second = SimulatorThread(port=int(first.url.rpartition(":")[2]))
        with pytest.raises(OSError, match="address already in use"):
            second.start()
    assert not [t for t in threading.enumerate() if t.name == "finalstop-simulator"]
