from __future__ import annotations

from typing import Any

from emulator.server.asked import MAX_BODY_BYTES, asked, overheard


def scope(method: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"method": method, "headers": list(headers)}


async def test_a_body_is_kept_while_it_is_read() -> None:
    pieces = [
        {"type": "http.request", "body": b"one ", "more_body": True},
        {"type": "http.request", "body": b"two", "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return pieces.pop(0)

    request = scope("POST", (b"content-length", b"7"), (b"X-A", b"b: c"))
    kept = overheard(request, receive)
    assert kept is not None
    assert (await kept.receive())["body"] == b"one "
    assert (kept.asked(request).body, kept.asked(request).is_whole) == (b"one ", False)
    await kept.receive()
    await kept.receive()
    told = kept.asked(request)
    assert (told.body, told.is_whole) == (b"one two", True)
    assert told.pairs() == [("content-length", "7"), ("X-A", "b: c")]


async def test_of_a_large_body_only_the_beginning_is_kept() -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"x" * (MAX_BODY_BYTES + 1)}

    request = scope("PUT", (b"transfer-encoding", b"chunked"))
    kept = overheard(request, receive)
    assert kept is not None
    assert len((await kept.receive())["body"]) == MAX_BODY_BYTES + 1
    assert (len(kept.asked(request).body), kept.asked(request).is_whole) == (MAX_BODY_BYTES, False)


def test_a_request_without_a_body_is_whole() -> None:
    async def receive() -> Any:
        raise AssertionError

    for request in (scope("GET"), scope("POST"), scope("POST", (b"content-length", b"0"))):
        assert overheard(request, receive) is None
        assert asked(request).is_whole
