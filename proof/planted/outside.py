"""Bugs around the law: the log and who follows it, the upstream, and who may come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proof.planted.planting import Planting

MEMORY: Final = ("tests/log/test_contract.py", "tests/log/test_memory.py")
PRODUCER: Final = ("tests/runtime/test_producer.py",)
INTAKE: Final = ("tests/runtime/test_intake.py",)
STREAM: Final = ("tests/runtime/test_stream.py",)
VIEWER: Final = ("tests/runtime/test_viewer.py",)
RELAY: Final = ("tests/runtime/test_relay.py",)
CONNECTIONS: Final = ("tests/upstream/test_connections.py",)
CALLS: Final = ("tests/upstream/test_calls.py",)
LATE_WORD: Final = (f"{CALLS[0]}::test_a_late_word_does_not_touch_the_connection_of_the_next_call",)
AUTH: Final = ("tests/gateway/test_auth.py",)

# -- the log and who follows it -------------------------------------------------------------------

LOGS: Final[Sequence[Planting]] = (
    Planting(
        "append after the seal",
        "log/memory.py",
        "record.sealed = ends",
        "record.sealed = False",
        MEMORY,
    ),
    Planting(
        "write before the append",
        "log/memory.py",
        "record.keep(kept)\n        record.tell(accepted)",
        "record.tell(accepted)\n        record.keep(kept)",
        MEMORY,
    ),
    Planting(
        "drop the last event of a replay",
        "log/memory.py",
        "                break\n        return entries",
        "                break\n        return entries[:-1] or entries",
        MEMORY,
    ),
    Planting(
        "let one broken follower cost the others theirs",
        "log/memory.py",
        "                self.forget(follower)\n                with",
        "                raise\n                with",
        MEMORY,
    ),
    Planting(
        "end a stream in the middle of a dispatch",
        "runtime/producer.py",
        "if self._appending:\n            self._inbox.append(act)",
        "if False:\n            self._inbox.append(act)",
        PRODUCER,
    ),
    Planting(
        "leave who waits for the end waiting when the log breaks",
        "runtime/producer.py",
        "            if type(batch[-1]) is Ended:\n                self._tell_ended(batch[-1])",
        "            pass",
        PRODUCER,
    ),
    Planting(
        "follow on after the view is over",
        "runtime/viewer.py",
        "            unfollow()\n",
        "            pass\n",
        VIEWER,
    ),
    Planting(
        "show a stream to whoever knows its id",
        "runtime/relay.py",
        "if stream is None or stream.principal not in (None, principal):",
        "if stream is None:",
        RELAY,
    ),
)

# -- the upstream ---------------------------------------------------------------------------------

UPSTREAMS: Final[Sequence[Planting]] = (
    Planting(
        "forget to cancel the call when a stream fails",
        "runtime/stream.py",
        "            call.cancel()\n",
        "            pass\n",
        STREAM,
    ),
    Planting(
        "go on when the last viewer has left",
        "runtime/stream.py",
        "if self._clock() >= due_at:",
        "if False:",
        STREAM,
    ),
    Planting(
        "close another stream's pooled connection",
        "upstream/calls.py",
        "if connection.transport is transport or transport.is_closing():",
        "if transport:",
        LATE_WORD,
    ),
    Planting(
        "let a late word reach whoever holds the connection now",
        "upstream/connections.py",
        "if self._holder is not holder:\n            return False",
        "if self._holder is None:\n            return False",
        CONNECTIONS,
    ),
    Planting(
        "hand bytes that nobody asked for to the next call",
        "upstream/connections.py",
        "elif self.kept_at is None and not self._early:",
        "elif not self._early:",
        CONNECTIONS,
    ),
    Planting(
        "take a body that was cut for a whole one",
        "upstream/direct_calls.py",
        "elif not reader.until_close:",
        "elif not reader:",
        (f"{CALLS[0]}::test_every_answer_comes_to_its_one_end",),
    ),
    Planting(
        "never open the gate again",
        "upstream/gate.py",
        "            connection.look()\n",
        "            pass\n",
        ("tests/upstream/test_gate.py",),
    ),
    Planting(
        "beat no more once the gate has rested",
        "upstream/gate.py",
        "else:\n            self._is_beating = False\n",
        "else:\n            pass\n",
        ("tests/upstream/test_gate.py",),
    ),
    Planting(
        "leave a connection paused that is not gated again",
        "upstream/gate.py",
        "if not connection.is_gated:\n",
        "if False:\n",
        ("tests/upstream/test_gate.py",),
    ),
    Planting(
        "let one connection's error stop the gate for all",
        "upstream/gate.py",
        "                connection.lose(error)\n",
        "                raise error\n",
        ("tests/upstream/test_gate.py",),
    ),
    Planting(
        "gate a stream that is to be read at once",
        "upstream/direct_calls.py",
        "well.open_gate if ask.at_once else well.gate",
        "well.gate",
        ("tests/upstream/test_gate.py",),
    ),
    Planting(
        "send a request twice that was written",
        "upstream/retry.py",
        "return outcome is EndReason.UNREACHABLE",
        "return True",
        ("tests/upstream/test_retry.py",),
    ),
    Planting(
        "take a reset at the end for the end",
        "upstream/calls.py",
        "self._finish(inflater, reset=was_reset(head, protocol))",
        "self._finish(inflater, reset=False)",
        (f"{CALLS[0]}::test_every_answer_comes_to_its_one_end",),
    ),
    Planting(
        "read any 200 as a stream",
        "runtime/intake.py",
        "if media_type != EVENT_STREAM:",
        "if not media_type:",
        INTAKE,
    ),
    Planting(
        "let a bug of ours hang its stream",
        "runtime/intake.py",
        "            self._producer.crashed(error)\n",
        "            del error\n",
        INTAKE,
    ),
    Planting(
        "forward a client's credentials beside our own",
        "upstream/dressing.py",
        "dropped |= _CREDENTIALS",
        "pass",
        ("tests/upstream/test_http.py::test_our_credentials_replace_a_clients",),
    ),
    Planting(
        "send a gateway token on to the upstream",
        "gateway/auth.py",
        "return Admission(principal, self.own_headers())",
        "return Admission(principal, credential.as_headers())",
        AUTH,
    ),
)
