"""The short form of the fuzzers: the corpus again, ten seconds of mutation, and linear time.

As long as one likes: `make fuzz ARGS="--seconds 60 sse"`. A finding prints its own command.
"""

from itertools import islice
from pathlib import Path

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.lifecycle import Lifecycle
from finalstop.runtime.producer import Producer
from finalstop.runtime.stream import Stream
from finalstop.upstream.direct_calls import DirectCall
from finalstop.wire.formats import encoder_for
from finalstop.wire.sse import SSEDecoder
from fuzz import engine, guided
from fuzz.corpus import hidden, load, shown
from fuzz.coverage import Feature, features_of
from fuzz.engine import grow, minimised, mutated, run, tried
from fuzz.run import GROWTH_MAX, growth, main, replayed
from fuzz.target import Target, WrongError, want
from fuzz.targets.table import TARGETS
from proof.ledger import ProofError

SEED = 20261122
MUTATION_S = 10.0
CORPUS_MIN = 300
WORST = [(target, kind) for target in TARGETS.values() for kind in target.worst]


def name_of(thing):
    return getattr(thing, "name", thing)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS.values(), ids=name_of)
def test_every_input_of_the_corpus_comes_to_a_documented_end(target, record_property):
    count = replayed(target)
    assert count >= 25
    record_property("figure", f"fuzz, {target.name}: {count} inputs of the corpus again")


def test_the_corpus_is_large_enough_and_its_inputs_are_small():
    inputs = {name: load(name) for name in TARGETS}
    assert sum(map(len, inputs.values())) >= CORPUS_MIN
    for name, corpus in inputs.items():
        assert max(map(len, corpus)) <= TARGETS[name].bytes_max
        assert len(corpus) == len(set(corpus))


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("target", TARGETS.values(), ids=name_of)
def test_whatever_mutation_makes_comes_to_a_documented_end(target, record_property):
    done = run(target, load(target.name), seed=SEED, seconds=MUTATION_S / len(TARGETS))
    assert not done.found, f"seed {SEED}: {done.found[0]}"
    record_property("figure", f"fuzz, {target.name}: seed {SEED}, {done.inputs} mutated inputs")


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("target", "kind"), WORST, ids=name_of)
def test_the_worst_input_of_twice_the_size_takes_no_more_than_three_times_as_long(
    target, kind, record_property
):
    ratio = growth(target, kind)
    assert ratio < GROWTH_MAX
    record_property(
        "figure", f"fuzz, {target.name}, {kind}: twice the size, {ratio:.1f} x the time"
    )


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(not guided.is_installed(), reason="atheris is not installed here")
def test_the_fuzzer_that_is_guided_by_coverage_runs():
    done, edges = guided.run("cursor", seconds=1, seed=1)
    assert done.inputs > len(load("cursor"))
    assert edges > 10


# -- the fuzzers can fail -------------------------------------------------------------------------


def forget_the_cr(monkeypatch):
    monkeypatch.setattr(SSEDecoder, "_with_lf_ends", lambda _self, chunk: chunk)


def read_the_lf_of_a_crlf_twice(monkeypatch):
    with_lf_ends = SSEDecoder._with_lf_ends

    def forgets(self, chunk):
        self._after_cr = False
        return with_lf_ends(self, chunk)

    monkeypatch.setattr(SSEDecoder, "_with_lf_ends", forgets)


def take_the_end_of_the_body_for_completion(monkeypatch):
    def eof(self, *, now, detail=""):
        return [] if self.ended else [self._end(EndReason.COMPLETE, detail, now, json=b"{}")]

    monkeypatch.setattr(Lifecycle, "eof", eof)


def lose_the_end_of_the_body(monkeypatch):
    monkeypatch.setattr(Producer, "eof", lambda _self, _detail="": None)


def end_what_is_read_late(monkeypatch):
    received = DirectCall.received

    def forgets(self, data):
        received(self, data[:40])

    monkeypatch.setattr(DirectCall, "received", forgets)


def raise_where_nobody_expects_it(monkeypatch):
    def fields(_fields, **_defaults):
        raise KeyError("messages")

    monkeypatch.setattr("finalstop.gateway.messages.plain_fields", fields)


def know_nobody_s_home(monkeypatch):
    def why(path):
        return "" if path.expanduser().is_file() else "there is no such file"

    monkeypatch.setattr("finalstop.gateway.sources._why_no_file", why)


def attach_anywhere(monkeypatch):
    def attach(self, format, after):
        return self._attached(encoder_for(format), after)

    monkeypatch.setattr(Stream, "attach", attach)


PLANTED = [
    ("sse", forget_the_cr),
    ("sse", read_the_lf_of_a_crlf_twice),
    ("events", take_the_end_of_the_body_for_completion),
    ("events", lose_the_end_of_the_body),
    ("http", end_what_is_read_late),
    ("body", raise_where_nobody_expects_it),
    ("config", know_nobody_s_home),
    ("cursor", attach_anywhere),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "plant"), PLANTED, ids=lambda it: getattr(it, "__name__", it))
def test_the_corpus_finds_a_planted_bug(name, plant, monkeypatch):
    plant(monkeypatch)
    with pytest.raises(ProofError, match=f"again: python -m fuzz {name} --input"):
        replayed(TARGETS[name])


def toy(judge, **changes):
    options = {
        "name": "toy", "says": "", "judge": judge, "seeds": lambda: [b"a"], "words": (b"boom",),
        "worst": {}, "feed": judge,
    }  # fmt: skip
    return Target(**(options | changes))


def fragile(data):
    want(b"boom" not in data, "boom")
    return f"{data.count(b'a')}"


def test_a_finding_is_told_with_the_command_that_shows_it_again():
    done = run(toy(fragile), [], seed=1, seconds=5.0)
    (found,) = done.found
    assert b"boom" in found.data
    assert hidden(shown(found.data)) == found.data
    assert f"python -m fuzz toy --input '{shown(found.data)}'" in str(found)
    assert tried(toy(fragile), b"a") is None


def test_an_exception_that_nobody_documented_is_a_finding():
    found = tried(toy(lambda data: str(data.decode("ascii"))), b"\xff")
    assert found is not None
    assert found.what.startswith("UnicodeDecodeError")


def test_the_same_seed_makes_the_same_inputs():
    first, again, other = (
        list(islice(mutated(TARGETS["sse"], [], seed), 50)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_an_input_is_kept_for_what_it_adds_and_cut_down_to_that(monkeypatch):
    monkeypatch.setattr(engine, "MINIMISE_S", 20.0)  # a busy machine must not cut it short
    kept = grow(toy(lambda data: str(min(3, data.count(b"a")))), [], seed=1, seconds=0.05)
    assert sorted(map(len, kept)) == [0, 1, 2, 3]
    steps = features_of(TARGETS["sse"].judge, b"data: x\n\n")
    assert len(steps) > 10
    long = b": a comment\n\ndata: x\n\n" + b"\n" * 20
    verdict: set[Feature] = {TARGETS["sse"].judge(long)}
    short = minimised(TARGETS["sse"], long, verdict)
    assert TARGETS["sse"].judge(short) in verdict
    # Of the line ends, as many are left as the verdict counts; of the rest, what makes the frame.
    assert short.strip(b"\n") in {b"data", b"data:"}


def test_growing_stops_at_a_finding():
    with pytest.raises(WrongError, match="boom"):
        grow(toy(fragile), [], seed=1, seconds=5.0)


def test_time_that_is_not_linear_is_a_finding():
    def cubic(data):
        return sum(1 for _ in range(len(data) ** 3 // 200_000))

    slow = toy(fragile, feed=cubic, worst={"it": lambda n: b"a" * n}, worst_size=2000)
    with pytest.raises(ProofError, match=r"toy, it: twice \d+ bytes take [4-9]"):
        growth(slow, "it")


def test_a_target_that_is_none_is_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        main(["sess"])
    assert "there is no target 'sess'; choose from sse, events" in capsys.readouterr().err


def test_the_corpus_has_a_file_for_each_target_and_no_other():
    folder = Path(__file__).parents[2] / "fuzz" / "corpus"
    assert {path.stem for path in folder.iterdir()} == set(TARGETS)
