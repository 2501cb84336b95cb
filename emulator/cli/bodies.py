"""Bodies of messages on the command line: from an argument to the REST API, and from there to a person or a program."""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from typing import Any, Final

from emulator.base.errors import EmulatorError

_MAX_SHOWN: Final = 400
"""Characters of a body that are shown."""


def read_standard_input() -> str:
    """Standard input as text, without its last line end. Raises EmulatorError when it is not UTF-8."""
    data = sys.stdin.buffer.read()
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise EmulatorError(f"standard input is not UTF-8: {error}") from None


def to_push(body: str, form: str | None) -> dict[str, Any]:
    """What the REST API takes for `body`, in the form `json` or `text`; None: as JSON when it is JSON, else as text.
    Raises EmulatorError for a body that cannot be sent."""
    try:
        body.encode()
    except UnicodeEncodeError:
        raise EmulatorError("BODY is not UTF-8") from None
    if form != "text":
        try:
            value = json.loads(body, parse_constant=_refuse_constant)
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # 1e999 and lone surrogates cannot be sent
            return {"body": value, "content_type": "json"}
        except (ValueError, RecursionError) as error:
            if form == "json":
                raise EmulatorError(f"BODY is not JSON: {error}") from None
    return {"body": body, "content_type": "text"}


def as_value(message: dict[str, Any]) -> Any:
    """The body of a message of the REST API for a program: the value of a JSON body, text as it is, and all else in
    base64, as the API has it."""
    if message["metadata"]["CF-Content-Type"] != "json":
        return message["body"]
    return json.loads(b64decode(message["body"]))


def as_text(message: dict[str, Any]) -> str:
    """The body of a message of the REST API for a person, cut when it is long."""
    from emulator.wire.codec import decode

    kind, body = message["metadata"]["CF-Content-Type"], str(message["body"])
    if kind == "json":
        body = b64decode(body).decode("utf-8", "replace")
    elif kind != "text":
        try:
            body = repr(decode(b64decode(body), kind))
        except ValueError:
            body = f"{kind}, damaged: {body}"
    if len(body) <= _MAX_SHOWN:
        return body
    return f"{body[:_MAX_SHOWN]}... ({len(body):,} characters; --json prints all of them)"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
