"""What is asked of other sessions, with a server in place of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from emulator.dashboard import elsewhere
from emulator.dashboard.elsewhere import asked_for_more, forwarded_from, linked
from emulator.dashboard.story import Provenance
from emulator.queues.message import DeadLetter, QueueMessage
from emulator.session.running import Running

MESSAGE = QueueMessage("a" * 32, b"1", "json", 1.0, 1.0, 1.0, source="shop")
REQUEST = Provenance(kind="request", text="from worker shop, in POST /signup", worker="shop", id="b" * 16)


class Other:
    """A session that answers with `content`, or never if that is None. `asked` are the first lines of its requests."""

    def __init__(self) -> None:
        self.content: bytes | None = b""
        self.status = 200
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        if self.content is None:
            await reader.read()
        else:
            head = f"HTTP/1.1 {self.status} OK\r\ncontent-length: {len(self.content)}\r\n\r\n"
            writer.write(head.encode() + self.content)
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def other(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Other]:
    made = Other()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    running = [Running(made.url, 1, 0.0, api_token="s3cret")]
    monkeypatch.setattr(elsewhere, "running_sessions", lambda: running)
    yield made
    server.close()


async def ask(url: str) -> Provenance:
    return await asked_for_more(forwarded_from(url, MESSAGE), MESSAGE.id, "jo bs", 12.3456)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (REQUEST, "from another session: worker shop, in POST /signup"),
        (Provenance(kind="redrive", text="because it was redriven"), "from another session, because it was redriven"),
    ],
)
async def test_the_session_that_has_forwarded_a_message_says_where_it_came_from(
    other: Other, told: Provenance, text: str
) -> None:
    other.content = msgspec.json.encode(told)
    known = await ask(other.url)
    assert known == msgspec.structs.replace(told, text=text, session=other.url, source=[])
    [asked] = other.asked
    assert asked.startswith(f"get /cdn-cgi/emulator/api/messages/{'a' * 32}/origin?queue=jo+bs&until_ms=12346 ")
    assert "authorization: bearer s3cret" in asked


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (404, b'{"error": "nothing is known"}'),
        (200, b"<html>"),
        (200, b"\xff"),
        (200, b'{"kind": 3}'),
        (200, msgspec.json.encode(forwarded_from("http://third.example", MESSAGE))),
    ],
)
async def test_what_it_does_not_know_is_not_told(other: Other, status: int, content: bytes) -> None:
    other.status, other.content = status, content
    assert await ask(other.url) == forwarded_from(other.url, MESSAGE)


async def test_a_session_that_does_not_answer_is_not_waited_for(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "_SECONDS", 0.05)
    other.content = None
    assert (await ask(other.url)).text == "from another session: worker shop"


async def test_an_address_that_is_not_a_session_is_not_asked(other: Other) -> None:
    stranger = other.url.replace("127.0.0.1", "localhost")
    assert (await ask(stranger)).session == stranger
    assert other.asked == []


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (MESSAGE, "from another session: worker shop"),
        (msgspec.structs.replace(MESSAGE, source="api"), "from another session: a client of the REST API"),
        (msgspec.structs.replace(MESSAGE, source=""), "from another session"),
        (
            msgspec.structs.replace(MESSAGE, dead_letter=DeadLetter("jobs", 1.0, ())),
            "from another session, because it died",
        ),
    ],
)
def test_a_message_says_itself_who_sent_it(message: QueueMessage, text: str) -> None:
    assert forwarded_from("", message).text == text


@pytest.mark.parametrize(
    ("url", "host", "address"),
    [
        ("http://127.0.0.1:8788", "127.0.0.1", "http://127.0.0.1:8788"),
        ("http://127.0.0.1:8788", "localhost", "http://localhost:8788"),
        ("https://localhost:8788", "127.0.0.1", "https://127.0.0.1:8788"),
        ("http://127.0.0.1:8788", "::1", "http://[::1]:8788"),
        ("http://127.0.0.1:8788", "shop.localhost", "http://127.0.0.1:8788"),
        ("http://192.168.1.5:8788", "localhost", "http://192.168.1.5:8788"),
        ("http://127.0.0.1:8788", "192.168.1.5", "http://127.0.0.1:8788"),
    ],
)
def test_a_link_leads_to_the_name_of_the_page_where_both_mean_this_machine(url: str, host: str, address: str) -> None:
    assert linked(url, host) == address
