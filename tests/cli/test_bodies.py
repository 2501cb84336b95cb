"""Bodies on the command line."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from emulator.base.errors import EmulatorError
from emulator.cli.bodies import as_text, as_value, to_push


def message(kind: str, body: bytes) -> dict[str, Any]:
    return {"metadata": {"CF-Content-Type": kind}, "body": b64encode(body).decode()}


def test_json_is_sent_as_json_and_all_else_as_text() -> None:
    assert to_push('{"id": 7}', None) == {"body": {"id": 7}, "content_type": "json"}
    assert to_push("hello", None) == {"body": "hello", "content_type": "text"}
    assert to_push("42", "text") == {"body": "42", "content_type": "text"}


@pytest.mark.parametrize("body", ["hello", "NaN", "1e999", '"\\ud800"', "[" * 100_000])
def test_json_that_cannot_be_sent_is_refused_where_json_is_asked_for(body: str) -> None:
    with pytest.raises(EmulatorError, match="BODY is not JSON"):
        to_push(body, "json")
    assert to_push(body, None)["content_type"] == "text"


def test_a_body_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(EmulatorError, match="BODY is not UTF-8"):
        to_push("\udcff", None)


def test_bodies_of_every_kind_are_shown() -> None:
    assert as_text(message("json", b'{"id":7}')) == '{"id":7}'
    assert as_text({"metadata": {"CF-Content-Type": "text"}, "body": "hello"}) == "hello"
    assert as_text(message("bytes", b"\x00")) == "b'\\x00'"
    assert as_text(message("v8", b"\xff\x0f~")) == "v8, damaged: /w9+"
    assert as_value(message("json", b'{"id":7}')) == {"id": 7}
    assert as_value(message("bytes", b"\x00")) == "AA=="


def test_a_long_body_is_cut() -> None:
    assert as_text(message("json", b'"' + b"x" * 998 + b'"')).endswith(
        "x... (1,000 characters; --json prints all of them)"
    )
