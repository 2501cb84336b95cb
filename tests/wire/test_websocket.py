"""The frames of WebSockets, between two sides without a network."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.wire.websocket import MAX_MESSAGE_BYTES, Frames
from emulator_runtime.hosting import Closing, Lost

MASK = bytes(4)


def sides() -> tuple[Frames, Frames]:
    return Frames(client=True), Frames(client=False)


@pytest.mark.parametrize("item", ["", "text ü", b"", b"\x00" * 70_000, Closing(1005, ""), Closing(4000, "why")])
def test_what_is_written_is_read(item: Any) -> None:
    client, server = sides()
    assert server.read(client.write(item)) == [item]
    assert client.read(server.write(item)) == [item]
    assert client.closed_in == client.closed_out == server.closed_in == isinstance(item, Closing)
    assert server.replies() == b""


def test_bytes_come_in_pieces_and_messages_in_fragments() -> None:
    client, server = sides()
    data = client.write("one") + client.write(b"two")
    read = [item for number in range(len(data)) for item in server.read(data[number : number + 1])]
    assert read == ["one", b"two"]
    assert server.read(b"\x01\x82" + MASK + b"\xc3\x28") == []
    assert server.read(b"\x89\x81" + MASK + b"p") == []
    assert server.replies() == b"\x8a\x01p"
    assert server.read(b"\x80\x81" + MASK + b"x") == ["\ufffd(x"]


def test_a_message_may_be_left_unfinished() -> None:
    _, server = sides()
    assert server.read(b"\x01\x81" + MASK + b"x" + b"\x88\x80" + MASK) == [Closing(1005, "")]


def test_a_side_that_was_told_the_end_may_go_on_and_then_ends_itself() -> None:
    client, server = sides()
    assert server.read(client.write(Closing(1000, ""))) == [Closing(1000, "")]
    rest = server.write("the rest") + server.write(Closing(1001, "bye"))
    assert client.read(rest) == ["the rest", Closing(1001, "bye")]
    assert server.read(b"ignored") == []
    assert client.write("ignored") == client.write(Lost()) == b""


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x83\x80" + MASK, 1002),
        (b"\x81\x01x", 1002),
        (b"\xf1\x80" + MASK, 1002),
        (b"\x80\x80" + MASK, 1002),
        (b"\x88\x82" + MASK + (999).to_bytes(2, "big"), 1002),
        (b"\x82\xff" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big") + MASK, 1009),
    ],
)
def test_a_broken_rule_ends_it_with_a_code(frame: bytes, code: int) -> None:
    _, server = sides()
    [lost] = server.read(frame)
    assert isinstance(lost, Lost)
    assert f"protocolError.statusCode = {code};" in lost.error
    reply = server.replies()
    assert (reply[0], reply[2:4]) == (0x88, code.to_bytes(2, "big"))
    assert server.closed_in
    assert server.closed_out


def test_the_limit_is_of_the_whole_message() -> None:
    client, server = sides()
    half = MAX_MESSAGE_BYTES // 2
    header = b"\xff" + half.to_bytes(8, "big") + MASK
    assert server.read(b"\x02" + header + bytes(half)) == []
    [message] = server.read(b"\x80" + header + bytes(half))
    assert isinstance(message, bytes)
    assert len(message) == MAX_MESSAGE_BYTES
    assert server.read(b"\x02" + header + bytes(half)) == []
    [lost] = server.read(b"\x80\xff" + (half + 1).to_bytes(8, "big") + MASK)
    assert "statusCode = 1009" in str(lost)
    assert len(client.write("x" * (MAX_MESSAGE_BYTES + 1))) > MAX_MESSAGE_BYTES
