"""The chart: all that was observed, read once, in the one dialect that the endpoint speaks.

Every finding is a function of it. It knows which exchange may serve as the healthy one, and may
not judge the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from finalstop.doctor.dialects import NONE, Dialect, dialect_of
from finalstop.doctor.masking import masked
from finalstop.doctor.observations import Case, Ending, Exchange, Observations, Step, Trial
from finalstop.doctor.reading import Carrier, read
from finalstop.doctor.transcript import Transcript, transcribe
from finalstop.doctor.wording import STEPS, UPSTREAM, frame_said


@dataclass(frozen=True, slots=True)
class Chart:
    """The observations, free of secrets, with their transcripts."""

    seen: Observations
    dialect: Dialect
    steps: Mapping[Step, Transcript]
    trials: Mapping[Case, Transcript]
    shutdown: Transcript | None

    @property
    def baseline(self) -> Transcript | None:
        """The exchange in which everything but the endpoint was in order."""
        return self.trials.get(Case.HEALTHY) or self.steps.get(Step.ASK)

    @property
    def terminal(self) -> str:
        """The terminal of the healthy answer as it stood on the wire; else what it would be."""
        base = self.baseline
        verdict = base.verdict if base else None
        return frame_said(verdict.frame) if verdict else self.dialect.success

    @property
    def sound(self) -> bool:
        """Whether the baseline is an answer that ended; without one no fault can be judged."""
        base = self.baseline
        if base is None or not base.ok or not base.ended_properly or not base.reading.frames:
            return False
        return base.reading.carrier is not Carrier.DOCUMENT and not base.failed

    def trial(self, case: Case) -> tuple[Trial, Transcript] | None:
        """A trial with its transcript, if it was made."""
        found = self.seen.trials.get(case)
        return (found, self.trials[case]) if found is not None else None

    @property
    def answers(self) -> Iterator[Transcript]:
        """The exchanges in which the upstream did nothing wrong, each once."""
        yield from (it for it in [self.baseline] if it is not None)
        for case in (Case.SLOW, Case.TOOLS_AND_THINKING):
            if case in self.trials:
                yield self.trials[case]

    @property
    def everything(self) -> Iterator[Transcript]:
        """All exchanges that asked the question, each once."""
        base = self.baseline
        yield from (it for it in [base] if it is not None)
        yield from (it for it in self.trials.values() if it is not base)


def chart_of(seen: Observations) -> Chart:
    """Read everything; the secrets of the questions are blotted out of it first."""
    seen = masked(seen)
    dialect = _dialect(seen)

    def read_as(name: str, exchange: Exchange) -> Transcript:
        return transcribe(name, exchange, dialect, seen.window_s)

    return Chart(
        seen,
        dialect,
        {step: read_as(STEPS[step], it) for step, it in seen.steps.items()},
        {case: read_as(UPSTREAM[case], it.exchange) for case, it in seen.trials.items()},
        read_as("SIGTERM with a stream open", seen.shutdown.exchange) if seen.shutdown else None,
    )


def _dialect(seen: Observations) -> Dialect:
    """That of the healthy exchange; where it has no frames, that of whichever has."""
    trials = seen.trials
    first = [trials[Case.HEALTHY].exchange] if Case.HEALTHY in trials else []
    asked = [seen.steps[Step.ASK]] if Step.ASK in seen.steps else []
    rest = [it.exchange for case, it in trials.items() if case is not Case.HEALTHY]
    for exchange in (*first, *asked, *rest):
        ended = exchange.ending in {Ending.WHOLE, Ending.CLOSED}
        dialect = dialect_of(reading := read(exchange), learned=ended)
        if dialect is not NONE and reading.frames:
            return dialect
    return NONE
