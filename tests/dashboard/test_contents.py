"""What is in queues: looked through by a filter without keeping other work waiting, counted, and written as lines."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, cast

import pytest

from emulator.dashboard import contents
from emulator.dashboard.contents import find, ids_of, last_bodies, search, total, unsearched
from emulator.dashboard.fields import MESSAGES
from emulator.dashboard.filters import parse
from emulator.dashboard.rows import FoundMessage, json_line
from emulator.log.recorder import Recorder
from emulator.queues.message import Counts, NewMessage, QueueMessage
from tests.queues.driving import Consumer, Driven, consume, let_pull, make_queue, throw

if TYPE_CHECKING:
    from emulator.session.session import Session
    from emulator.wire.codec import ContentType


def session_of(driven: Driven) -> Session:
    """These queues as the session that they would be of; only its queues and its clock are asked for."""
    return cast("Session", driven)


async def found(driven: Driven, text: str, most: int | None = 100, queue: str = "orders") -> list[tuple[str, bytes]]:
    return [
        (each.state, each.message.body) async for each in search(session_of(driven), queue, parse(text, MESSAGES), most)
    ]


async def test_a_filter_finds_messages_by_their_state() -> None:
    driven = Driven()
    await let_pull(driven)
    await driven.send(b"pulled", b"ready")
    await driven.send(b"later", delay=60)
    await driven.queues.pull("orders", 1)
    assert await found(driven, "") == [("in flight", b"pulled"), ("ready", b"ready"), ("delayed", b"later")]
    assert await found(driven, 'state:"in flight"') == [("in flight", b"pulled")]
    assert await found(driven, "state:ready") == [("ready", b"ready")]
    assert await found(driven, "state:delayed") == await found(driven, "state:DELAYED") == [("delayed", b"later")]
    assert await found(driven, 'state:"In Flight"') == [("in flight", b"pulled")]
    assert await found(driven, "-state:delayed e") == [("in flight", b"pulled"), ("ready", b"ready")]
    assert await found(driven, "state:acked") == []


async def test_what_waits_after_a_failure_is_retrying_whether_it_is_delayed_or_ready() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retry_delay=60, retries=1, dlq="dlq")
    await driven.send(b"one")
    await driven.settle()
    assert await found(driven, "state:retrying") == await found(driven, "state:delayed") == [("delayed", b"one")]
    await driven.queues.pause("orders")
    await driven.advance(60)
    assert await found(driven, "state:retrying attempts=1") == [("ready", b"one")]
    await driven.queues.resume("orders")
    await driven.settle()
    assert await found(driven, "state:dead attempts=2 error~ValueError", queue="dlq") == [("dead", b"one")]
    assert await found(driven, "state:retrying", queue="dlq") == []


async def test_a_page_looks_through_some_messages_and_what_is_done_with_all_of_them_takes_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contents, "MOST_SEARCHED", 10)
    driven = Driven()
    await make_queue(driven)
    await driven.send(*[b"%d" % number for number in range(35)])
    await driven.send(b"later", delay=60)
    counts = await driven.queues.counts("orders")
    assert [body for _, body in await found(driven, "", 10)] == [b"%d" % number for number in range(10)]
    assert await found(driven, "body=30", 10) == []
    assert (unsearched(counts, parse("body=30", MESSAGES)), unsearched(counts, parse("", MESSAGES))) == (26, 0)
    assert await found(driven, "state:delayed", 10) == [("delayed", b"later")]
    assert unsearched(counts, parse("state:delayed", MESSAGES)) == 0
    assert [body for _, body in await found(driven, "", None)] == [*(b"%d" % number for number in range(35)), b"later"]
    chosen = await ids_of(session_of(driven), "orders", parse("-body=30", MESSAGES))
    assert len(chosen) == 35
    assert len(await ids_of(session_of(driven), "orders", parse("state:delayed", MESSAGES))) == 1


async def test_a_message_is_found_by_its_id_wherever_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_SEARCHED", 10)
    driven = Driven()
    await let_pull(driven)
    await driven.send(*[b"%d" % number for number in range(35)])
    (pulled,) = await driven.queues.pull("orders", 1)
    last = list(await driven.queues.waiting("orders"))[-1]
    session = session_of(driven)
    assert await find(session, "orders", last.id) == FoundMessage("orders", "ready", last)
    leased = FoundMessage("orders", "in flight", pulled.message, pulled.expires_at)
    assert await find(session, "orders", pulled.message.id) == leased
    assert await find(session, "orders", "a" * 32) is None


async def test_a_search_gives_way_to_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_SLICE_SECONDS", 0)
    driven = Driven()
    await make_queue(driven)
    await driven.send(*[b"x"] * 100)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    assert await found(driven, "y", None) == []
    task.cancel()
    assert turns >= 100


async def test_a_new_message_begins_from_the_last_different_bodies_that_can_be_sent_again() -> None:
    driven = Driven()
    recorder = Recorder(driven.bus, driven.clock.now)
    await make_queue(driven)
    await make_queue(driven, "mails")

    async def send(body: bytes, content_type: ContentType = "json", queue: str = "orders") -> None:
        await driven.queues.send(queue, [NewMessage(body, content_type)], source="shop")

    for number in range(6):
        await send(b"%d" % number)
    await send(b"5")
    await send(b"\x00", "bytes")
    await send(b" " * (contents.MOST_BODY_BYTES + 1), "text")
    await send(b"other", "text", "mails")
    await send(b"5", "text")
    bodies = await last_bodies(session_of(driven), recorder, "orders")
    assert [(each.content_type, each.body) for each in bodies] == [
        ("text", b"5"),
        *(("json", b"%d" % number) for number in (5, 4, 3, 2)),
    ]
    without = await last_bodies(session_of(driven), None, "orders")
    assert [each.body for each in without] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_total_is_known_where_every_part_is() -> None:
    assert total([Counts(1, 2, 3, 4, 5), Counts(10, 20, 30, 40, 50)]) == Counts(11, 22, 33, 44, 55)
    assert total([Counts(1, 2, 3, 4, 5), Counts(10, 20, 30)]) == Counts(11, 22, 33, None, None)


@pytest.mark.parametrize(
    ("content_type", "body", "shown"),
    [
        ("json", b'{"a":null}', {"a": None}),
        ("json", b"null", None),
        ("json", b"{damaged", b"{damaged".hex()),
        ("text", "é\u2028".encode(), "é\u2028"),
        ("bytes", b"\x00\xff", "00ff"),
    ],
)
def test_a_line_has_the_value_of_a_body_or_its_bytes_in_hexadecimal(
    content_type: ContentType, body: bytes, shown: object
) -> None:
    line = json_line(
        FoundMessage("orders", "ready", QueueMessage("a" * 32, body, content_type, 1.5, 1.5, 2.5, source="shop"))
    )
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "id": "a" * 32,
        "queue": "orders",
        "state": "ready",
        "content_type": content_type,
        "body": shown,
        "timestamp": 1.5,
        "ready_at": 2.5,
        "leased_until": None,
        "attempts": 0,
        "source": "shop",
        "failures": [],
        "dead_letter": None,
    }


async def test_a_line_of_a_dead_letter_says_why_it_died() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=1, dlq="dlq")
    await driven.send(b"one")
    await driven.settle()
    (dead,) = [each async for each in search(session_of(driven), "dlq", parse("", MESSAGES))]
    line = json.loads(json_line(dead))
    assert (line["state"], line["attempts"], line["dead_letter"]["queue"]) == ("dead", 2, "orders")
    assert [(each["number"], each["error"]) for each in line["failures"]] == [
        (1, "ValueError: no"),
        (2, "ValueError: no"),
    ]
