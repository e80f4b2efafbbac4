"""The seam: what implements it does, and the recording sink holds everyone to its order."""

import pytest

from finalstop.core.endings import EndReason
from finalstop.upstream.calls import HttpCall
from finalstop.upstream.contract import Call, ResponseHead, Sink, Upstream, UpstreamFailedError
from finalstop.upstream.gather import Gather
from finalstop.upstream.http import AiohttpUpstream
from tests.upstream.sinks import ORDER, RecordingSink


def the_checker_agrees(
    upstream: AiohttpUpstream, call: HttpCall, gather: Gather
) -> tuple[Upstream, Call, Sink]:
    """Not run: mypy refuses it when one of the three stops keeping its contract."""
    return upstream, call, gather


@pytest.mark.parametrize(
    ("fake", "contract"), [(HttpCall, Call), (AiohttpUpstream, Upstream), (Gather, Sink),
                           (RecordingSink, Sink)]
)  # fmt: skip
def test_what_stands_for_a_contract_has_all_of_its_methods(fake, contract):
    wanted = {name for name in vars(contract) if not name.startswith("_")}
    assert wanted <= set(dir(fake))


def test_an_upstream_failure_says_its_reason_and_its_sentence():
    error = UpstreamFailedError(EndReason.DEADLINE, "too slow")
    assert (str(error), error.reason, error.detail) == (
        "deadline: too slow", EndReason.DEADLINE, "too slow",
    )  # fmt: skip


# c w R d e r f: connected, written, responded, data, eof, refused, failed
IN_ORDER = ["", "c", "cw", "cwR", "cwRd", "cwRdddde", "cwRe", "cwRf", "cR", "cwr", "cr", "cwf", "f",
            "ccwRe", "cwcwcwr", "cwcf"]  # fmt: skip
OUT_OF_ORDER = ["w", "wc", "cww", "d", "cwd", "cwe", "cwRr", "cwRR", "cwRdw", "cwRec", "cwRee",
                "cwRef", "cwRfd", "cwrf", "rr", "fd", "ff", "fcwR"]  # fmt: skip


@pytest.mark.parametrize("letters", IN_ORDER)
def test_the_contracts_order_is_accepted(letters):
    assert ORDER.fullmatch(letters)


@pytest.mark.parametrize("letters", OUT_OF_ORDER)
def test_every_other_order_is_refused(letters):
    assert not ORDER.fullmatch(letters)


def test_of_the_upstreams_headers_those_that_a_client_reads_are_passed_on_as_they_are():
    passed = {
        "request-id": "req_1",
        "anthropic-ratelimit-tokens-remaining": "9",
        "anthropic-organization-id": "o",
        "retry-after": "7",
        "retry-after-ms": "6500",
    }
    withheld = {
        "set-cookie": "a=b",
        "content-length": "5",
        "content-encoding": "gzip",
        "transfer-encoding": "chunked",
        "connection": "close",
        "server": "x",
        "x-anthropic-internal": "x",
    }
    assert ResponseHead(200, {**withheld, **passed}).passed == passed
