"""Which endpoint a request is for, what it asks, and what is wrong with it.

Pure: a request in, a performance out. The list of calls and the counting of `times` are the
server's; this room is handed what it needs and may not know about sockets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from finalstop.simulator.answers import Ask, compact
from finalstop.simulator.calls import key_of
from finalstop.simulator.heads import respond_error, respond_json
from finalstop.simulator.performance import Performance, perform, perform_plain
from finalstop.simulator.recipes import Json
from finalstop.simulator.requests import Request
from finalstop.simulator.script import Script, ScriptError

MODELS: Final = ("claude-sonnet-5-5", "claude-opus-5", "claude-sonnet-5", "claude-haiku-4-5")
SCRIPT_HEADER: Final = "x-simulator"
MODEL_PREFIX: Final = "sim:"


class Refusal(Exception):
    """A request that is answered with an error: its status, the API's error type, the message."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Setting:
    """What the server knows and the request does not.

    `choose` turns a spec into the script to play now (it counts `times`) and raises ScriptError.
    """

    choose: Callable[[str], Script]
    default: str
    pace_ms: int
    require_key: bool


def respond_to(request: Request, setting: Setting, request_id: str) -> Performance:
    """The answer to one request. Never raises on what a client sends."""
    try:
        return _answered(request, setting, request_id)
    except Refusal as no:
        return Performance(respond_error(no.status, no.kind, str(no), request_id))
    except ScriptError as no:
        return Performance(respond_error(400, "invalid_request_error", str(no), request_id))


def spec_of(request: Request, default: str) -> str:
    """The script a request is to be answered with: by header, by model name, or the default."""
    header = request.headers.get(SCRIPT_HEADER)
    if header is not None:
        return header
    body = request.json()
    model = body.get("model") if isinstance(body, dict) else None
    if isinstance(model, str) and model.startswith(MODEL_PREFIX):
        return model.removeprefix(MODEL_PREFIX)
    return default


def _answered(request: Request, setting: Setting, request_id: str) -> Performance:
    if request.path == "/" and request.method in {"GET", "HEAD"}:
        return Performance(respond_json(200, {"simulator": "finalstop"}, request_id))
    path = _WITHOUT_VERSION.get(request.path, request.path)
    method = _METHODS.get(path, "GET" if path.startswith("/v1/models/") else None)
    if method is None:
        raise Refusal(404, "not_found_error", f"no such path: {request.path}")
    if request.method != method and (request.method, method) != ("HEAD", "GET"):
        message = f"{request.path} takes {method}, not {request.method}"
        raise Refusal(405, "invalid_request_error", message)
    if setting.require_key and key_of(request.headers) is None:
        raise Refusal(401, "authentication_error", "x-api-key or authorization header is required")
    script_of = setting.choose
    if path == "/v1/messages":
        ask = _ask(_object(request), needs_max_tokens=True)
        script = script_of(spec_of(request, setting.default))
        return perform(script, ask, request_id, pace_ms=setting.pace_ms)
    value = _plain_value(request)
    return perform_plain(script_of(spec_of(request, setting.default)), value, request_id)


def _plain_value(request: Request) -> Json:
    if request.path == "/v1/messages/count_tokens":
        return {"input_tokens": _ask(_object(request), needs_max_tokens=False).input_tokens}
    if request.path == "/v1/models":
        models = [_model(name) for name in MODELS]
        return {"data": models, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    name = request.path.removeprefix("/v1/models/")
    if name not in MODELS:
        raise Refusal(404, "not_found_error", f"model: {name}")
    return _model(name)


def _model(name: str) -> Json:
    display = name.replace("claude-", "Claude ").replace("-", " ").title()
    created = "2026-01-01T00:00:00Z"
    return {"type": "model", "id": name, "display_name": display, "created_at": created,
            "lifecycle": "active"}  # fmt: skip


def _object(request: Request) -> Json:
    body = request.json()
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_request_error", "the request body is not a JSON object")
    return cast("Json", body)


def _ask(body: Json, *, needs_max_tokens: bool) -> Ask:
    model, messages, most = (body.get(name) for name in ("model", "messages", "max_tokens"))
    if not isinstance(model, str) or not model:
        raise Refusal(400, "invalid_request_error", "model: a non-empty string is required")
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "invalid_request_error", "messages: at least one message is required")
    if needs_max_tokens and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise Refusal(400, "invalid_request_error", "max_tokens: a number above 0 is required")
    stream = body.get("stream", False)
    if not isinstance(stream, bool):
        raise Refusal(400, "invalid_request_error", "stream: true or false is required")
    return Ask(model, _prompt(messages), len(compact(messages)) // 4 + 1, stream)


def _prompt(messages: list[object]) -> str:
    """The text of the last message, whichever way it is written."""
    last = messages[-1]
    content = last.get("content") if isinstance(last, dict) else None
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return " ".join(str(b["text"]) for b in blocks if isinstance(b, dict) and "text" in b)


# The AI SDK takes a base URL that ends in /v1; pointed at ours, it leaves that part out.
_WITHOUT_VERSION: Final = {"/messages": "/v1/messages"}
_METHODS: Final = {
    "/v1/messages": "POST",
    "/v1/messages/count_tokens": "POST",
    "/v1/models": "GET",
}
