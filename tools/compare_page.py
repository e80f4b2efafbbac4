"""The page of hand-made relays: what became of each under each fault, from the last whole run.

It reads what `make compare` kept. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from examples.compare.conditions import (
    LEFT_S,
    RELAYS,
    ROWS,
    SIGTERM_S,
    WINDOW_S,
    Relay,
    Side,
)
from examples.compare.report import Verdicts, counts_of, grade, read_verdicts, seconds_in


def compared_markdown() -> str:
    """The table: a row for each thing that happens, a column for each relay, and ours."""
    kept = read_verdicts()
    titles = [*(relay.title for relay in RELAYS), "`respond()` in the same five"]
    lines = [_row(["what happens", *titles]), _row(["---"] * (len(titles) + 1))]
    for condition, says in ROWS.items():
        by_hand = [_by_hand(kept, condition, relay) for relay in RELAYS]
        lines.append(_row([says, *by_hand, _ours(kept, condition)]))
    lines.append(_row(["**never ends, leaks or lies**", *_bad_counts(kept)]))
    return "\n".join(lines)


def compared_terms_markdown() -> str:
    """What was run: each relay in a line, the windows, the versions."""
    kept = read_verdicts()
    relays = [f"- **{it.title}** ({it.server}): {it.says}. Source: {_links(it)}." for it in RELAYS]
    versions = ", ".join(f"{name} {number}" for name, number in kept["versions"].items())
    measured = f"Measured with finalstop {kept['finalstop']}, Python {kept['python']}, {versions}."
    windows = (
        f"A response *hangs* when it is open and without new text for {WINDOW_S:g} s; a call "
        f"upstream *leaks* when it is open {LEFT_S:g} s after its client has left; a process "
        f"does not end when it still runs {SIGTERM_S:g} s after SIGTERM."
    )
    return "\n".join([*relays, "", measured, windows])


def _by_hand(kept: Verdicts, condition: str, relay: Relay) -> str:
    text = kept["cells"][condition][relay.key][Side.BY_HAND]
    return _cell(text, seconds_in(kept, condition, relay, Side.BY_HAND))


def _ours(kept: Verdicts, condition: str) -> str:
    """One text where all five agree; how long it took where that is known, at most."""
    texts = dict.fromkeys(kept["cells"][condition][it.key][Side.FINALSTOP] for it in RELAYS)
    times = [seconds_in(kept, condition, relay, Side.FINALSTOP) for relay in RELAYS]
    slowest = max(times, key=_number)
    return "; ".join(_cell(text, slowest) for text in texts)


def _number(time: str) -> float:
    return next((float(word) for word in time.split() if word[0].isdigit()), 0.0)


def _cell(text: str, time: str) -> str:
    """Bold what never ends, leaks or lies."""
    whole = ", ".join(part for part in (text, time) if part)
    return f"**{whole}**" if grade(text) == "bad" else whole


def _bad_counts(kept: Verdicts) -> Iterable[str]:
    for relay in RELAYS:
        texts = (kept["cells"][condition][relay.key][Side.BY_HAND] for condition in ROWS)
        yield f"{counts_of(texts)['bad']} of {len(ROWS)}"
    ours = [kept["cells"][row][it.key][Side.FINALSTOP] for row in ROWS for it in RELAYS]
    yield f"{counts_of(ours)['bad']} of {len(ours)}"


def _links(relay: Relay) -> str:
    folder = f"../../examples/compare/{relay.key}"
    return f"[by hand]({folder}/by_hand.py), [with finalstop]({folder}/with_finalstop.py)"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
