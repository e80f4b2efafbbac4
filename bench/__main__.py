"""`python -m bench`: measure relays of token streams, ours among others. See `--help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bench import goals, hot_path, report, results, smoke, stages
from bench.held import open_streams_max
from bench.machine import cores, noise, raise_file_limit
from bench.made import MADE, MissingError, native_load
from bench.measure import own_affinity
from bench.scenarios import QUICK_ROUNDS, QUICK_SECONDS, QUICK_SUBJECTS, SCENARIOS, Scenario
from bench.session import Terms, UnquietError, play, say
from bench.subjects import SUBJECTS

EXIT_UNQUIET: Final = 3
EXIT_MISSING: Final = 4
EXIT_STOPPED: Final = 130
LISTEN_S: Final = 3.0


def main() -> int:
    """Run a command; return the exit status."""
    options = _parser().parse_args()
    try:
        native_load()
        raise_file_limit()
        if options.command == "smoke":
            return smoke.smoke()
        if options.command == "chain":
            return _chain(options)
        return _run(options)
    except MissingError as error:
        print(f"bench: {error}", file=sys.stderr)
        return EXIT_MISSING
    except (OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return EXIT_MISSING
    except UnquietError as error:
        print(f"bench: the machine is not quiet: {error}", file=sys.stderr)
        print("bench: nothing is reported. Try again, or see --unquiet.", file=sys.stderr)
        return EXIT_UNQUIET
    except KeyboardInterrupt:
        print("bench: stopped; nothing is reported", file=sys.stderr)
        return EXIT_STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("smoke", help="20 s: ours against nginx, as one line")
    chain = commands.add_parser("chain", help="the push chain alone, without sockets")
    chain.add_argument("--keep-as", metavar="NAME", help="a column of the page, e.g. before")
    run = commands.add_parser("run", help="the benchmark; under an hour")
    run.add_argument("--quick", action="store_true", help="about 9 minutes: fewer of everything")
    run.add_argument("--subjects", type=_listed(SUBJECTS), metavar="A,B", help="only these")
    run.add_argument("--scenarios", type=_listed(SCENARIOS), metavar="A,B", help="only these")
    run.add_argument("--rounds", type=int, metavar="N", help="5, or 3 with --quick")
    run.add_argument("--seconds", type=float, metavar="S", help="the steady part of each run")
    run.add_argument(
        "--unquiet", action="store_true", help="go on when others use the machine; stamped"
    )
    run.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=f"where the results go: {results.LATEST.name} of a whole run on a quiet machine",
    )
    run.add_argument("--keep", action="store_true", help="keep what FILE says of other scenarios")
    return parser


def _listed(known: Mapping[str, object]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(part.strip() for part in text.split(",") if part.strip())
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return read


def _run(options: argparse.Namespace) -> int:
    mine = cores()
    limit = raise_file_limit()
    terms = Terms(
        cores=mine,
        rounds=options.rounds or (QUICK_ROUNDS if options.quick else 5),
        unquiet=options.unquiet,
        subjects=_subjects(options),
        seconds=options.seconds or (QUICK_SECONDS if options.quick else None),
        searches=1 if options.quick else None,
        open_streams_max=open_streams_max(limit),
    )
    recorded = results.begin(terms, quick=options.quick)
    # Now and not in an hour: what is kept must be there, and of this machine.
    kept = results.read(_out(options)) if options.keep else None
    if kept:
        results.merged(kept, recorded)
    own_affinity(mine.load)
    _listen(unquiet=options.unquiet)
    try:
        for scenario in _scenarios(options):
            say(f"{scenario.name}: {scenario.title}")
            results.add(recorded, scenario.name, play(scenario, terms))
    except (UnquietError, KeyboardInterrupt):
        results.write(MADE / "refused.json", recorded)
        raise
    out = _out(options)
    written = results.merged(kept, recorded) if kept else recorded
    results.write(out, written)
    print(f"{report.text(written)}\n\nresults: {out.name}")
    return 1 if goals.lost_streams(recorded) else 0


def _out(options: argparse.Namespace) -> Path:
    """What is partial or unquiet does not take the place of the committed results unasked."""
    if options.out is not None:
        return Path(options.out)
    is_part = options.subjects or options.scenarios or options.seconds
    if options.unquiet or (is_part and not options.keep):
        return MADE / "partial.json"
    return results.LATEST


def _listen(*, unquiet: bool) -> None:
    why = noise(LISTEN_S)
    if why and not unquiet:
        raise UnquietError("; ".join(why))


def _chain(options: argparse.Namespace) -> int:
    if options.keep_as:
        _listen(unquiet=False)
    hot_path.main()
    profile = stages.profile()
    print(report.aligned(report.profile_rows({"us/event": profile})))
    if options.keep_as:
        results.write_profile(options.keep_as, profile)
    return 0


def _subjects(options: argparse.Namespace) -> frozenset[str] | None:
    if options.subjects:
        return frozenset(options.subjects)
    return QUICK_SUBJECTS if options.quick else None


def _scenarios(options: argparse.Namespace) -> list[Scenario]:
    if options.scenarios:
        return [SCENARIOS[name] for name in options.scenarios]
    return [scenario for scenario in SCENARIOS.values() if scenario.quick or not options.quick]


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
