"""Configuration: every setting through every source, and every refusal with its three facts."""

from __future__ import annotations

import sys

import msgspec
import pytest

from finalstop.core.limits import DEFAULTS, Limits
from finalstop.gateway.config import (
    API_URL,
    KNOBS,
    LIMIT_KNOBS,
    SIMULATOR,
    ConfigError,
    Settings,
    configuration_markdown,
    load,
)
from finalstop.gateway.secret import Secret, TokenHash
from tests.doors import ROOT
from tests.gateway.places import nothing_configured

KEY = "sk-ant-canary-7f3a"
TOKEN = "fs-canary-0123456789abcdef"
PROXY = "http://user:canary-pass@proxy.example:3128"


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    return nothing_configured(monkeypatch, tmp_path)


# --- every limit, through every source -------------------------------------------------------

# Another value than the default, inside every range and every cross check.
OTHER = {
    "connect_s": 6.5, "commit_s": 4.0, "first_content_s": 200.0, "idle_s": 60.0,
    "deadline_s": 1800.0, "keep_alive_s": 14.0, "gate_s": 0.01, "body_s": 29.0, "write_s": 29.0,
    "linger_s": 1.0,
    "linger_s_max": 299.0, "drain_s": 19.0, "attempts_sdk": 3, "attempts_own": 4,
    "event_bytes": 2048, "stream_bytes": 32_000_000, "body_bytes": 4096, "max_streams": 9,
    "log_bytes_total": 8192, "max_viewers": 7, "retention_s": 6.0,
}  # fmt: skip
LIMIT_NAMES = [knob.name for knob in LIMIT_KNOBS]


def test_every_limit_of_the_core_can_be_configured():
    assert set(Limits.__struct_fields__) == set(LIMIT_NAMES)
    assert set(OTHER) == set(LIMIT_NAMES), "give the new limit a row in OTHER"


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_limit_is_set_by_the_environment(name, monkeypatch):
    monkeypatch.setenv(f"FINALSTOP_{name.upper()}", str(OTHER[name]))
    loaded = load()
    assert getattr(loaded.settings.limits, name) == OTHER[name]
    assert loaded.origins[name] == f"environment FINALSTOP_{name.upper()}"


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_limit_is_set_by_the_toml_file(name, place):
    (place / "finalstop.toml").write_text(f"{name} = {OTHER[name]}\n")
    loaded = load()
    assert getattr(loaded.settings.limits, name) == OTHER[name]
    assert loaded.origins[name] == f"finalstop.toml {name}"


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_limit_is_set_by_an_assignment(name):
    loaded = load(assignments=[f"{name}={OTHER[name]}"])
    assert getattr(loaded.settings.limits, name) == OTHER[name]
    assert loaded.origins[name] == "option --set"


@pytest.mark.parametrize("name", LIMIT_NAMES)
@pytest.mark.parametrize("wrong", ["-1", "1e999", "nan", "soon", "[]"])
def test_a_wrong_limit_is_refused_with_name_value_and_what_is_allowed(name, wrong, monkeypatch):
    monkeypatch.setenv(f"FINALSTOP_{name.upper()}", wrong)
    with pytest.raises(ConfigError) as refused:
        load()
    allowed = next(knob.allowed for knob in LIMIT_KNOBS if knob.name == name)
    expected = f"FINALSTOP_{name.upper()}={wrong}: it must be {allowed}"
    assert refused.value.complaints == (expected,)


def test_nothing_configured_is_the_defaults_and_the_simulator():
    loaded = load()
    assert loaded.settings == Settings()
    assert loaded.settings.limits == DEFAULTS
    assert loaded.settings.upstream == SIMULATOR
    assert set(loaded.origins.values()) == {"default"}


# --- sources ---------------------------------------------------------------------------------


def test_the_stronger_source_wins_and_is_named(place, monkeypatch):
    (place / "finalstop.toml").write_text("port = 1\nidle_s = 1\nhost = 'localhost'\ndrain_s = 9\n")
    (place / ".env").write_text("FINALSTOP_PORT=2\nFINALSTOP_IDLE_S=2\nFINALSTOP_HOST=::1\n")
    monkeypatch.setenv("FINALSTOP_PORT", "3")
    monkeypatch.setenv("FINALSTOP_IDLE_S", "3")
    steps = [
        (load({"--port": "5"}, ["port=4"]), 5, "option --port"),
        (load({"--port": None}, ["port=4"]), 4, "option --set"),
        (load(), 3, "environment FINALSTOP_PORT"),
    ]
    for loaded, port, origin in steps:
        assert (loaded.settings.port, loaded.origins["port"]) == (port, origin)
    loaded = load()
    assert loaded.settings.host == "::1"
    assert loaded.origins["host"] == ".env FINALSTOP_HOST"
    assert loaded.settings.limits.drain_s == 9
    assert loaded.origins["drain_s"] == "finalstop.toml drain_s"


# text in TOML,                        setting,                 value
TOML_VALUES = [
    ("allowed_hosts = ['a.example', 'b']", "allowed_hosts", ("a.example", "b")),
    ("allowed_hosts = 'a.example, b'", "allowed_hosts", ("a.example", "b")),
    ("nonstream_passthrough = true", "nonstream_passthrough", True),
    ("log_format = 'console'", "log_format", "console"),
    ("default_model = 'claude-x'", "default_model", "claude-x"),
    ("simulator_spec = 'stall@mid-text'", "simulator_spec", "stall@mid-text"),
    ("simulator_pace_ms = 0", "simulator_pace_ms", 0),
    ("at_once_routes = ['/stream-claude']", "at_once_routes", ("/stream-claude",)),
    ("at_once_routes = '/stream-claude, /v1/messages'", "at_once_routes",
     ("/stream-claude", "/v1/messages")),
    ("at_once_routes = []", "at_once_routes", ()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "value"), TOML_VALUES)
def test_a_setting_keeps_its_type(text, name, value, place):
    (place / "finalstop.toml").write_text(text)
    assert getattr(load().settings, name) == value


def test_the_routes_that_are_read_at_once_are_one_string_elsewhere(place, monkeypatch):
    (place / "finalstop.toml").write_text("at_once_routes = ['/stream-claude']")
    both = ("/stream-claude", "/v1/messages")
    assert load(assignments=["at_once_routes="]).settings.at_once_routes == ()
    assert load(assignments=[f"at_once_routes={','.join(both)}"]).settings.at_once_routes == both
    (place / ".env").write_text("FINALSTOP_AT_ONCE_ROUTES=/v1/messages\n")
    assert load().settings.at_once_routes == ("/v1/messages",)
    monkeypatch.setenv("FINALSTOP_AT_ONCE_ROUTES", "/stream-claude ,/v1/messages,")
    assert load().settings.at_once_routes == both


ROUTES_ALLOWED = "it must be any of /v1/messages, /stream-claude, with commas between"
NO_STREAM_ROUTES = ["/healthz", "/v1/models", "/v1/messages/count_tokens", "/stream-claude/",
                    "stream-claude", "/STREAM-CLAUDE", "*", "true", "/v1/messages;/x"]  # fmt: skip


@pytest.mark.parametrize("wrong", NO_STREAM_ROUTES)
@pytest.mark.parametrize("before", ["", "/stream-claude,"])
def test_what_is_no_streaming_route_cannot_be_read_at_once(wrong, before, monkeypatch):
    given = f"{before}{wrong}"
    with pytest.raises(ConfigError) as refused:
        load(assignments=[f"at_once_routes={given}"])
    assert refused.value.complaints == (f"--set at_once_routes={given}: {ROUTES_ALLOWED}",)
    monkeypatch.setenv("FINALSTOP_AT_ONCE_ROUTES", given)
    with pytest.raises(ConfigError) as refused:
        load()
    assert refused.value.complaints == (f"FINALSTOP_AT_ONCE_ROUTES={given}: {ROUTES_ALLOWED}",)


@pytest.mark.parametrize("wrong", ["['/x']", "'/x'", "5", "[5]", "true", "[['/stream-claude']]"])
def test_nor_can_it_be_in_the_file(wrong, place):
    (place / "finalstop.toml").write_text(f"at_once_routes = {wrong}")
    with pytest.raises(ConfigError) as refused:
        load()
    (complaint,) = refused.value.complaints
    assert complaint.startswith("at_once_routes in finalstop.toml=")
    assert complaint.endswith(ROUTES_ALLOWED)


def test_an_empty_variable_is_not_set(monkeypatch):
    monkeypatch.setenv("FINALSTOP_IDLE_S", "")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    assert load().settings == Settings()


def test_everything_wrong_is_said_at_once(monkeypatch):
    monkeypatch.setenv("FINALSTOP_IDLE_S", "0")
    with pytest.raises(ConfigError) as refused:
        load({"--port": "99999"}, ["nope=1"])
    assert [line.partition(":")[0] for line in refused.value.complaints] == [
        "--set nope",
        "--port=99999",
        "FINALSTOP_IDLE_S=0",
    ]
    assert str(refused.value) == "\n".join(refused.value.complaints)


# --- keys and tokens -------------------------------------------------------------------------

# environment, files -> the key, its origin
KEYS = [
    ({"ANTHROPIC_API_KEY": KEY}, {}, "environment ANTHROPIC_API_KEY"),
    ({"FINALSTOP_API_KEY": KEY}, {}, "environment FINALSTOP_API_KEY"),
    ({"FINALSTOP_API_KEY": KEY, "ANTHROPIC_API_KEY": "sk-other"}, {},
     "environment FINALSTOP_API_KEY"),
    ({}, {".env": f"ANTHROPIC_API_KEY={KEY}\n"}, ".env ANTHROPIC_API_KEY"),
    ({}, {".env": f"FINALSTOP_API_KEY={KEY}\n"}, ".env FINALSTOP_API_KEY"),
    ({"FINALSTOP_API_KEY_FILE": "key"}, {"key": f"{KEY}\n"}, "file key"),
    ({"FINALSTOP_API_KEY_FILE": "key", "ANTHROPIC_API_KEY": "sk-other"}, {"key": KEY},
     "file key"),
    ({}, {"finalstop.toml": "api_key_file = 'key'", "key": KEY}, "file key"),
]  # fmt: skip


@pytest.mark.parametrize(("env", "files", "origin"), KEYS)
def test_the_key_comes_from_the_environment_or_a_file(env, files, origin, place, monkeypatch):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    for name, text in files.items():
        (place / name).write_text(text)
    loaded = load()
    assert loaded.settings.api_key == Secret(KEY)
    assert loaded.origins["api_key"] == origin
    assert loaded.settings.upstream == API_URL, "with a key, the API is asked"


def test_the_sdks_base_url_is_not_read(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:8787")
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert load().settings.upstream == API_URL


def test_tokens_of_variable_and_file_add_up(place, monkeypatch):
    (place / "tokens").write_text(
        f"# ours\n{TokenHash.of('b').line()}\n\nplain-0123456789abc # x\n"
    )
    monkeypatch.setenv("FINALSTOP_TOKENS", f"{TOKEN}, {TokenHash.of('a').line()}")
    monkeypatch.setenv("FINALSTOP_TOKENS_FILE", "tokens")
    loaded = load()
    expected = {TOKEN, "a", "b", "plain-0123456789abc"}
    assert set(loaded.settings.tokens) == {TokenHash.of(token) for token in expected}
    assert loaded.origins["tokens"] == "environment FINALSTOP_TOKENS, file tokens"


@pytest.mark.parametrize(("is_terminal", "log_format"), [(True, "console"), (False, "json")])
def test_the_log_is_for_whoever_reads_it(is_terminal, log_format, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    assert load().settings.log_format == log_format


# --- refusals --------------------------------------------------------------------------------

# environment,                                 what the message must say
REFUSED = [
    ({"FINALSTOP_HOST": "0.0.0.0"}, "host=0.0.0.0", "finalstop token",
     "environment FINALSTOP_HOST"),
    ({"FINALSTOP_HOST": "example.com"}, "no gateway tokens"),
    ({"FINALSTOP_HOST": "a b"}, "FINALSTOP_HOST=a b: it must be an IP address"),
    ({"FINALSTOP_TOKENS": TOKEN, "FINALSTOP_UPSTREAM": API_URL}, "no api_key"),
    ({"FINALSTOP_UPSTREAM": "http://api.example"}, "upstream=http://api.example", "https"),
    ({"FINALSTOP_UPSTREAM": "http://localhost:8787"}, "this gateway itself"),
    ({"FINALSTOP_SIMULATOR_SPEC": "nope"}, "simulator_spec=nope", "nope"),
    ({"FINALSTOP_COMMIT_S": "50"}, "commit_s=50 must be less than keep_alive_s=15",
     "environment FINALSTOP_COMMIT_S"),
    ({"FINALSTOP_LINGER_S": "301"}, "linger_s=301 must not exceed linger_s_max=300"),
    ({"FINALSTOP_PORT": "tcp://10.0.0.1:8787"}, "FINALSTOP_PORT=tcp", "enableServiceLinks"),
    ({"FINALSTOP_LOG_FORMAT": "xml"}, "FINALSTOP_LOG_FORMAT=xml: it must be console or json"),
    ({"FINALSTOP_NONSTREAM_PASSTHROUGH": "maybe"}, "it must be true or false"),
    ({"FINALSTOP_API_KEY_FILE": "absent"}, "FINALSTOP_API_KEY_FILE: absent"),
    ({"FINALSTOP_TOKENS_FILE": "absent"}, "FINALSTOP_TOKENS_FILE: absent"),
    ({"FINALSTOP_API_KEY": KEY, "FINALSTOP_API_KEY_FILE": "key"}, "set only one of them"),
    ({"FINALSTOP_API_KEY_FILE": "empty"}, "empty: it must hold one API key"),
    ({"FINALSTOP_TOKENS_FILE": "empty"}, "empty: it holds no gateway token"),
]  # fmt: skip


@pytest.mark.parametrize(("env", "said"), [(row[0], row[1:]) for row in REFUSED])
def test_what_cannot_work_is_refused_at_the_start(env, said, place, monkeypatch):
    (place / "key").write_text(KEY)
    (place / "empty").write_text("# nothing yet\n")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        load()
    for part in said:
        assert part in str(refused.value)


def test_tokens_open_other_addresses():
    settings = Settings(host="0.0.0.0", tokens=(TokenHash.of(TOKEN),))
    assert not settings.is_local


# --- secrets never appear --------------------------------------------------------------------

SECRETS = {
    "FINALSTOP_API_KEY": KEY,
    "FINALSTOP_TOKENS": TOKEN,
    "FINALSTOP_PROXY": PROXY,
}


def test_no_secret_is_shown(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    loaded = load()
    assert loaded.settings.proxy == Secret(PROXY)
    shown = [repr(loaded), str(loaded.settings), str(msgspec.to_builtins(loaded.rows()))]
    for text in shown:
        assert "canary" not in text
    hidden = {row.name: row.value for row in loaded.rows() if "hidden" in str(row.value)}
    assert hidden == {"api_key": "(hidden)", "tokens": "1 (hidden)", "proxy": "(hidden)"}


# A wrong secret, in each place where one may be put by mistake.
WRONG_SECRETS = [
    ({"FINALSTOP_API_KEY": "canary with spaces"}, [], ""),
    ({"ANTHROPIC_API_KEY": "canary\twith tab"}, [], ""),
    ({"FINALSTOP_TOKENS": "canary"}, [], ""),
    ({"FINALSTOP_TOKENS": "sha256:canary"}, [], ""),
    ({"FINALSTOP_PROXY": "canary:secret@host"}, [], ""),
    ({"FINALSTOP_PROXY": "ftp://user:canary@host"}, [], ""),
    ({"FINALSTOP_UPSTREAM": "https://user:canary@host"}, [], ""),
    ({"FINALSTOP_UPSTREAM": "https://user:canary@host:port"}, [], ""),
    ({"FINALSTOP_UPSTREAM": "https://host/?key=canary"}, [], ""),
    ({"FINALSTOP_APIKEY": "canary"}, [], ""),
    ({}, ["api_key=canary"], ""),
    ({}, ["canary"], ""),
    ({}, [], "api_key = 'canary'"),
    ({}, [], "tokens = ['canary']"),
    ({}, [], "api_key = 17  # canary"),
    ({}, [], "ANTHROPIC_API_KEY = 'canary'"),
    ({}, [], "api_key = canary"),
    ({"FINALSTOP_API_KEY_FILE": "wrong"}, [], ""),
    ({"FINALSTOP_TOKENS_FILE": "wrong"}, [], ""),
]


@pytest.mark.parametrize(("env", "assignments", "toml"), WRONG_SECRETS)
def test_a_refused_secret_is_not_repeated(env, assignments, toml, place, monkeypatch):
    (place / "finalstop.toml").write_text(toml)
    (place / "wrong").write_text("canary one\ncanary two\n")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        load(assignments=assignments)
    assert "canary" not in str(refused.value)


# --- the reference page ----------------------------------------------------------------------


def test_the_page_says_what_the_code_says():
    page = (ROOT / "docs/reference/configuration.md").read_text()
    assert configuration_markdown().strip() in page


def test_the_page_has_every_setting_once():
    table = configuration_markdown()
    for knob in KNOBS:
        assert table.count(f"| `{knob.name}` |") == 1
