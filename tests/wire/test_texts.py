"""JSON and MessagePack of values whose texts hold half of a surrogate pair."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.queues.message import Attempt, DeadLetter, Message
from emulator.wire.texts import pack, read_json, write_json

any_text = st.text(st.characters(exclude_categories=()), max_size=40)
any_value = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=20,
)


@given(any_value)
def test_json_keeps_every_text(value: object) -> None:
    assert read_json(write_json(value)) == value


def test_half_of_a_surrogate_pair_that_javascript_has_escaped_is_read() -> None:
    assert read_json(rb'{"message":"Unexpected token \ud83d"}') == {"message": "Unexpected token \ud83d"}


@pytest.mark.parametrize("content", [b"", b"{", b"nothing", b'"\xff"'])
def test_what_is_not_json_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting|codec"):
        read_json(content)


def test_a_time_is_written_alike_beside_any_text() -> None:
    at = datetime(2026, 11, 26, tzinfo=UTC)
    for text in ("plain", "\ud83d"):
        assert json.loads(write_json({"at": at, "text": text})) == {"at": "2026-11-26T00:00:00Z", "text": text}


@given(any_text)
def test_a_message_with_any_error_can_be_packed(text: str) -> None:
    attempts = (Attempt(1, 0.5, "exception", text, f"Traceback\n{text}"),)
    message = Message("a" * 32, b"\xff", "bytes", 0.0, 0.0, 0.0, 1, attempts, DeadLetter("jobs", 1.0, attempts))
    read = msgspec.msgpack.decode(pack(message), type=Message)
    clean = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert read.failures[0].error == clean
    assert read.dead_letter is not None
    assert read.dead_letter.attempts[0].traceback == f"Traceback\n{clean}"
    assert (read.body, read.id) == (message.body, message.id)
