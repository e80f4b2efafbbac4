"""Who comes in, as whom, and what goes upstream: tables over all the headers there can be."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from multidict import CIMultiDict

from finalstop.gateway.auth import (
    API_VERSION,
    FORWARDED,
    SIMULATOR_KEY,
    AuthError,
    Gatekeeper,
    credential_of,
    forwarded_headers,
    host_allowed,
    origin_allowed,
)
from finalstop.gateway.config import API_URL, Settings
from finalstop.gateway.secret import Secret, TokenHash

OWN = "sk-ant-own-canary"
THEIRS = "sk-ant-theirs-canary"
TOKEN = "fs-token-canary-0123456789"
OTHER_TOKEN = "fs-other-canary-0123456789"

WITH_TOKENS = Settings(
    upstream=API_URL,
    api_key=Secret(OWN),
    tokens=(TokenHash.of(OTHER_TOKEN), TokenHash.of(TOKEN)),
)
WITH_KEY = Settings(upstream=API_URL, api_key=Secret(OWN))
SIMULATED = Settings()
SIMULATED_WITH_TOKENS = Settings(tokens=(TokenHash.of(TOKEN),))
WITH_NOTHING = Settings(upstream=API_URL)


def principal(text):
    return TokenHash.of(text).digest.hex()


def headers_of(*pairs):
    return CIMultiDict(pairs)


# --- what a request presents -----------------------------------------------------------------

# header lines -> the header and the credential it stands for
PRESENTED = [
    ([], None),
    ([("x-api-key", "a")], ("x-api-key", "a")),
    ([("X-Api-Key", " a ")], ("x-api-key", "a")),
    ([("Authorization", "Bearer a")], ("authorization", "a")),
    ([("authorization", "bearer  a ")], ("authorization", "a")),
    ([("x-api-key", "a"), ("authorization", "Bearer a")], ("x-api-key", "a")),
    ([("x-api-key", "a"), ("x-api-key", "a")], ("x-api-key", "a")),
    ([("cookie", "x-api-key=a"), ("proxy-authorization", "Bearer a")], None),
]


@pytest.mark.parametrize(("lines", "expected"), PRESENTED)
def test_a_request_presents_one_credential_or_none(lines, expected):
    credential = credential_of(headers_of(*lines))
    found = (credential.header, credential.secret.reveal()) if credential else None
    assert found == expected


# header lines -> status
MALFORMED = [
    ([("x-api-key", "")], 401),
    ([("x-api-key", "a b")], 401),
    ([("x-api-key", "a\x00")], 401),
    ([("x-api-key", "\udcff")], 401),
    ([("authorization", "")], 401),
    ([("authorization", "Bearer")], 401),
    ([("authorization", "Bearer ")], 401),
    ([("authorization", "Bearer a b")], 401),
    ([("authorization", "Basic YTpi")], 401),
    ([("authorization", "a")], 401),
    ([("x-api-key", "a"), ("authorization", "Basic YTpi")], 401),
    ([("x-api-key", "a"), ("authorization", "Bearer b")], 400),
    ([("x-api-key", "a"), ("x-api-key", "b")], 400),
    ([("authorization", "Bearer a"), ("Authorization", "Bearer b")], 400),
    ([("x-api-key", "a"), ("authorization", "Bearer A")], 400),
]


@pytest.mark.parametrize(("lines", "status"), MALFORMED)
def test_a_malformed_or_second_credential_is_refused(lines, status):
    with pytest.raises(AuthError) as refused:
        credential_of(headers_of(*lines))
    assert refused.value.status == status


@examples(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["x-api-key", "authorization"]), st.text(max_size=12))))
def test_no_header_makes_anything_but_a_credential_or_a_refusal(lines):
    try:
        credential = credential_of(headers_of(*lines))
    except AuthError as error:
        assert error.status in {400, 401}  # noqa: PT017 - either outcome is good
    else:
        assert (credential is None) == (not lines)


# --- who comes in ----------------------------------------------------------------------------

API_KEYS = {"none": [], "token": [("x-api-key", TOKEN)], "theirs": [("x-api-key", THEIRS)]}
BEARERS = {
    "none": [],
    "token": [("authorization", f"Bearer {TOKEN}")],
    "theirs": [("authorization", f"Bearer {THEIRS}")],
}
COMBINATIONS = list(itertools.product(API_KEYS, BEARERS))


def outcome(settings, api_key, bearer):
    """(principal, upstream headers), or the status of the refusal."""
    try:
        admission = Gatekeeper(settings).admit(headers_of(*API_KEYS[api_key], *BEARERS[bearer]))
    except AuthError as error:
        return error.status
    return admission.principal, dict(admission.upstream_headers)


@pytest.mark.parametrize(("api_key", "bearer"), COMBINATIONS)
@pytest.mark.parametrize(
    ("settings", "key"), [(WITH_TOKENS, OWN), (SIMULATED_WITH_TOKENS, SIMULATOR_KEY)]
)
def test_with_tokens_one_of_them_opens_and_nothing_else_does(settings, key, api_key, bearer):
    shown = {api_key, bearer} - {"none"}
    if shown == {"token"}:
        expected = (principal(TOKEN), {"x-api-key": key})
        assert outcome(settings, api_key, bearer) == expected
    else:
        assert outcome(settings, api_key, bearer) == (400 if len(shown) == 2 else 401)


@pytest.mark.parametrize(("api_key", "bearer"), COMBINATIONS)
@pytest.mark.parametrize(("settings", "key"), [(WITH_KEY, OWN), (SIMULATED, SIMULATOR_KEY)])
def test_with_a_key_of_our_own_anybody_comes_in_and_shows_nothing(settings, key, api_key, bearer):
    assert outcome(settings, api_key, bearer) == (None, {"x-api-key": key})


# x-api-key, bearer -> outcome
PASSED_ON = {
    ("none", "none"): 401,
    ("theirs", "none"): (principal(THEIRS), {"x-api-key": THEIRS}),
    ("none", "theirs"): (principal(THEIRS), {"authorization": f"Bearer {THEIRS}"}),
    ("theirs", "theirs"): (principal(THEIRS), {"x-api-key": THEIRS}),
    ("token", "none"): (principal(TOKEN), {"x-api-key": TOKEN}),
    ("none", "token"): (principal(TOKEN), {"authorization": f"Bearer {TOKEN}"}),
    ("token", "token"): (principal(TOKEN), {"x-api-key": TOKEN}),
    ("token", "theirs"): 400,
    ("theirs", "token"): 400,
}


@pytest.mark.parametrize(("api_key", "bearer"), COMBINATIONS)
def test_with_neither_a_clients_credential_goes_on_as_it_came(api_key, bearer):
    assert outcome(WITH_NOTHING, api_key, bearer) == PASSED_ON[api_key, bearer]


@pytest.mark.parametrize(
    "shown", [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), TokenHash.of(TOKEN).line(),
              TokenHash.of(TOKEN).digest.hex(), OWN]
)  # fmt: skip
def test_nothing_but_the_token_itself_opens(shown):
    with pytest.raises(AuthError) as refused:
        Gatekeeper(WITH_TOKENS).admit(headers_of(("x-api-key", shown)))
    assert refused.value.status == 401


@pytest.mark.parametrize("token", [TOKEN, OTHER_TOKEN])
def test_every_configured_token_opens_as_its_own_principal(token):
    shown = headers_of(("x-api-key", token))
    assert Gatekeeper(WITH_TOKENS).admit(shown).principal == principal(token)


@pytest.mark.parametrize(
    ("settings", "key"), [(WITH_KEY, OWN), (WITH_TOKENS, OWN), (SIMULATED, SIMULATOR_KEY)]
)
def test_the_gateways_own_calls_show_its_own_key(settings, key):
    assert Gatekeeper(settings).own_headers() == {"x-api-key": key}


def test_a_gateway_without_a_key_makes_no_calls_of_its_own():
    with pytest.raises(AuthError, match="ANTHROPIC_API_KEY"):
        Gatekeeper(WITH_NOTHING).own_headers()


# settings, headers -> what the message tells to do
ADVICE = [
    (WITH_TOKENS, {}, "send a gateway token as x-api-key or Authorization: Bearer"),
    (WITH_TOKENS, {"x-api-key": THEIRS}, "ask its operator"),
    (WITH_NOTHING, {}, "set ANTHROPIC_API_KEY where the gateway runs"),
    (WITH_NOTHING, {"authorization": f"Basic {THEIRS}"}, "Authorization must be `Bearer <token>`"),
    (WITH_NOTHING, {"x-api-key": f"{THEIRS} x"}, "x-api-key is empty, or holds"),
    (WITH_NOTHING, {"x-api-key": TOKEN, "authorization": f"Bearer {THEIRS}"}, "send either"),
]


@pytest.mark.parametrize(("settings", "headers", "said"), ADVICE)
def test_a_refusal_says_what_to_do_and_repeats_nothing(settings, headers, said):
    with pytest.raises(AuthError) as refused:
        Gatekeeper(settings).admit(CIMultiDict(headers))
    error = refused.value
    assert said in error.message == str(error)
    assert "canary" not in error.message
    is_401 = error.status == 401
    assert error.type == ("authentication_error" if is_401 else "invalid_request_error")
    assert error.headers == ({"www-authenticate": 'Bearer realm="finalstop"'} if is_401 else {})


def test_an_admission_does_not_show_its_credential():
    shown = headers_of(("x-api-key", TOKEN))
    for settings in (WITH_KEY, WITH_TOKENS, WITH_NOTHING):
        assert "canary" not in repr(Gatekeeper(settings).admit(shown))


# --- which pages may call --------------------------------------------------------------------

NAMED = Settings(allowed_hosts=("Gateway.example",))
OPEN_TO_ALL = Settings(host="0.0.0.0", tokens=(TokenHash.of(TOKEN),))
OPEN_AS = Settings(host="0.0.0.0", tokens=(TokenHash.of(TOKEN),), allowed_hosts=("a.example",))

# settings, Host headers -> allowed
HOSTS = [
    (SIMULATED, ["127.0.0.1:8787"], True),
    (SIMULATED, ["127.9.9.9"], True),
    (SIMULATED, ["localhost"], True),
    (SIMULATED, ["LOCALHOST:9"], True),
    (SIMULATED, ["[::1]:8787"], True),
    (SIMULATED, [], True),
    (SIMULATED, ["evil.example"], False),
    (SIMULATED, ["evil.example:8787"], False),
    (SIMULATED, ["localhost.evil.example"], False),
    (SIMULATED, ["127.0.0.1.nip.io"], False),
    (SIMULATED, ["127.0.0.1@evil.example"], False),
    (SIMULATED, ["localhost:8787:1"], False),
    (SIMULATED, ["localhost:evil"], False),
    (SIMULATED, ["localhost/evil"], False),
    (SIMULATED, ["[::1"], False),
    (SIMULATED, ["0.0.0.0"], False),
    (SIMULATED, [""], False),
    (SIMULATED, ["localhost", "evil.example"], False),
    (NAMED, ["gateway.EXAMPLE:443"], True),
    (NAMED, ["localhost"], True),
    (NAMED, ["x.gateway.example"], False),
    (OPEN_TO_ALL, ["anything.example"], True),
    (OPEN_AS, ["a.example"], True),
    (OPEN_AS, ["b.example"], False),
]


@pytest.mark.parametrize(("settings", "hosts", "allowed"), HOSTS)
def test_a_host_header_must_name_this_gateway(settings, hosts, allowed):
    headers = headers_of(*[("Host", host) for host in hosts])
    assert host_allowed(headers, settings) == allowed
    if allowed:
        Gatekeeper(settings).check_host("POST", headers)
    else:
        with pytest.raises(AuthError) as refused:
            Gatekeeper(settings).check_host("GET", headers)
        assert refused.value.status == 421


# settings, Host, Origin headers -> allowed
ORIGINS = [
    (SIMULATED, "localhost:8787", [], True),
    (SIMULATED, "localhost:8787", ["http://localhost:8787"], True),
    (SIMULATED, "Localhost:8787", ["HTTP://localhost:8787"], True),
    (NAMED, "gateway.example", ["https://gateway.example"], True),
    (SIMULATED, "localhost:8787", ["http://localhost:3000"], False),
    (SIMULATED, "localhost:8787", ["http://127.0.0.1:8787"], False),
    (SIMULATED, "localhost:8787", ["https://evil.example"], False),
    (SIMULATED, "localhost:8787", ["null"], False),
    (SIMULATED, "localhost:8787", [""], False),
    (SIMULATED, "localhost:8787", ["file://localhost:8787"], False),
    (SIMULATED, "localhost:8787", ["http://localhost:8787", "http://evil.example"], False),
    (WITH_KEY, "localhost:8787", ["https://evil.example"], False),
    (WITH_NOTHING, "localhost:8787", ["https://evil.example"], False),
    (WITH_TOKENS, "localhost:8787", ["https://evil.example"], True),
    (OPEN_TO_ALL, "a.example", ["https://b.example"], True),
]


@pytest.mark.parametrize(("settings", "host", "origins", "allowed"), ORIGINS)
def test_a_page_of_another_origin_changes_nothing_where_nobody_shows_a_token(
    settings, host, origins, allowed
):
    headers = headers_of(("Host", host), *[("Origin", origin) for origin in origins])
    gatekeeper = Gatekeeper(settings)
    assert origin_allowed(headers, settings) == allowed
    for method in ("GET", "HEAD", "OPTIONS"):
        gatekeeper.check_host(method, headers)
    for method in ("POST", "delete", "PUT", "PATCH"):
        if allowed:
            gatekeeper.check_host(method, headers)
        else:
            with pytest.raises(AuthError) as refused:
                gatekeeper.check_host(method, headers)
            assert (refused.value.status, refused.value.type) == (403, "permission_error")


# --- what goes upstream ----------------------------------------------------------------------

# header lines -> what is forwarded beside the version
PASSING = [
    ([], {}),
    ([("Anthropic-Version", "2099-01-01")], {"anthropic-version": "2099-01-01"}),
    ([("anthropic-beta", "a"), ("Anthropic-Beta", "b,c")], {"anthropic-beta": "a, b,c"}),
    ([("anthropic-new-thing", "x")], {"anthropic-new-thing": "x"}),
    ([("Content-Type", "application/json")], {"content-type": "application/json"}),
    ([("x-simulator", "stall@mid-text")], {"x-simulator": "stall@mid-text"}),
]
STAYING = [
    "authorization", "x-api-key", "cookie", "host", "connection", "transfer-encoding", "te",
    "content-length", "x-forwarded-for", "forwarded", "via", "user-agent", "x-stainless-os",
    "accept", "accept-encoding", "proxy-authorization", "origin", "referer", "idempotency-key",
    "xanthropic-beta", "anthropic", "last-event-id", "expect", "upgrade",
]  # fmt: skip


@pytest.mark.parametrize(("lines", "forwarded"), PASSING)
def test_what_the_api_reads_is_forwarded(lines, forwarded):
    expected = {"anthropic-version": API_VERSION, **forwarded}
    assert forwarded_headers(headers_of(*lines)) == expected


@pytest.mark.parametrize("name", STAYING)
def test_everything_else_stays_here(name):
    assert forwarded_headers(headers_of((name, "canary"))) == {"anthropic-version": API_VERSION}


def test_a_header_that_cannot_be_sent_is_refused_by_name():
    for value in ("a\r\nx-evil: 1", "a\x00", "a\tb", "a\x7f", "\u00e9", "\udcff"):
        with pytest.raises(AuthError, match="the header anthropic-beta holds") as refused:
            forwarded_headers(headers_of(("anthropic-beta", value)))
        assert refused.value.status == 400


def test_every_forwarded_header_has_its_reason():
    assert all(reason for reason in FORWARDED.values())
