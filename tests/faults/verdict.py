"""Judges one answer by what every answer owes its reader, whatever went wrong upstream.

Pure: bytes and a receipt in, complaints out; none means that the cell is kept. The first word of
a complaint is its class, which the matrix counts: hang, double, reason, status, end, ids, receipt.
"""

import json

from tests.faults.client import MESSAGES

TERMINALS = {MESSAGES: {"message_stop", "error"}}
PLAIN_TERMINALS = {"end", "error"}


def complaints(answer, cell, path, receipt):
    """What is wrong with `answer`, given the cell and the receipt that the gateway keeps."""
    if answer.ended == "hang":
        return ["hang: no end of the body in time"]
    found = []
    if answer.ended != "whole":
        found.append(f"end: {answer.ended}")
    if answer.status != (cell.status or (200 if answer.is_stream else 502)):
        found.append(f"status: {answer.status}, not {cell.status}")
    if receipt["reason"] != cell.reason:
        found.append(f"reason: {receipt['reason']}, not {cell.reason} ({receipt['detail']})")
    if answer.status == 200:
        found += _of_a_stream(answer, path, receipt)
    else:
        found += _of_an_error(answer, receipt)
    return found


def _of_an_error(answer, receipt):
    said = answer.json
    if said["type"] != "error" or receipt["reason"] not in said["error"]["message"]:
        yield f"reason: the body does not name it: {said['error']['message']}"
    if said["finalstop"] != receipt:
        yield "receipt: not the one in the body"
    if answer.headers.get("x-should-retry") != str(receipt["retryable"]).lower():
        yield "receipt: x-should-retry is not its retryable"
    if receipt["last_seq"] != 1:
        yield f"status: the stream had begun ({receipt['last_seq']} entries)"


def _of_a_stream(answer, path, receipt):
    frames = [frame for frame in answer.frames if frame[0] is not None]
    kinds = [_kind(frame, path) for frame in frames]
    terminals = [kind for kind in kinds if kind in TERMINALS.get(path, PLAIN_TERMINALS)]
    if len(terminals) != 1:
        yield f"double: {len(terminals)} terminals: {terminals}"
    if not kinds or kinds[-1] not in TERMINALS.get(path, PLAIN_TERMINALS):
        yield f"double: something follows the terminal: {kinds[-3:]}"
        return
    if (kinds[-1] == "error") is (receipt["reason"] == "complete"):
        yield f"reason: the last frame is {kinds[-1]}"
    seqs = [int(id.removeprefix("1-")) for id, _, _ in frames]
    if seqs != _expected_seqs(seqs, path, receipt):
        yield f"ids: {seqs[:3]}...{seqs[-3:]}, last_seq {receipt['last_seq']}"
    if told_receipt(frames[-1], path) not in (None, receipt):
        yield "receipt: not the one in the last frame"


def _kind(frame, path):
    _, event, data = frame
    return event if path == MESSAGES else json.loads(data).get("event", "text")


def _expected_seqs(seqs, path, receipt):
    """The native format has a frame for every entry; plain text only for what has text."""
    last = receipt["last_seq"]
    if path == MESSAGES:
        return list(range(1, last + 1))
    return [*sorted({seq for seq in seqs if 0 < seq < last}), last]


def told_receipt(frame, path):
    """The receipt in a last frame; None after `message_stop`, which has no place for it."""
    said = json.loads(frame[2])
    if path == MESSAGES:
        return said.get("finalstop")
    first = {"event", "message"}
    return {name: value for name, value in said.items() if name not in first}
