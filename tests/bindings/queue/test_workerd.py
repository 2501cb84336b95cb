"""What workerd's queue bindings are answered: sends, metrics, and refusals with their codes."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Coroutine
from typing import Any

import pytest

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.base.coroutines import run_now
from emulator.bindings.queue.config import Producer
from emulator.bindings.queue.workerd import answer, wire
from emulator.bindings.wiring import Answered, Reference, WireRequest, WireResponse
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.service import Queues
from emulator.queues.settings import QueueSettings

ORDERS = Producer("ORDERS", "orders")


class Asked:
    """A broker with the queue `orders`, and the binding that asks it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.queues = Queues(MemoryEngine(self.clock), Bus(), self.clock)
        run_now(self.queues.start())
        run_now(self.queues.create_queue("orders", QueueSettings(delivery_delay=9)))

    def ask(
        self, target: str, body: bytes = b"", producer: Producer = ORDERS, *, fmt: str = "", delay: str = ""
    ) -> WireResponse:
        given = {b"x-msg-fmt": fmt, b"x-msg-delay-secs": delay}
        sent = {name: value.encode() for name, value in given.items() if value}
        return run_now(answer(self.queues, "shop", producer, WireRequest(b"POST", target, sent, body)))

    def kept(self) -> list[tuple[bytes, str, float]]:
        """Body, content type and delay of what is in the queue, in the order of their ids' making."""
        waiting = run_now(self.queues.waiting("orders"))
        return [(each.body, each.content_type, round(each.ready_at - self.clock.now())) for each in waiting]


def code_of(response: WireResponse) -> str:
    return dict(response.headers)[b"CF-Queues-Error-Code"].decode()


def test_a_message_is_sent_with_its_type_and_the_delay_of_the_queue() -> None:
    asked = Asked()
    response = asked.ask("/message", b'{"a":1}', fmt="json")
    assert (response.status, json.loads(response.body)["metadata"]["metrics"]["backlogCount"]) == (200, 1)
    assert asked.kept() == [(b'{"a":1}', "json", 9)]


def test_a_message_has_its_own_delay_and_is_v8_unless_it_says_otherwise() -> None:
    asked = Asked()
    asked.ask("/message", b"\xff\x0f", delay="0")
    assert asked.kept() == [(b"\xff\x0f", "v8", 0)]


def test_a_batch_is_sent_with_the_delays_of_batch_and_messages() -> None:
    asked = Asked()
    entries: list[dict[str, Any]] = [
        {"body": b64encode(b"one").decode(), "contentType": "text"},
        {"body": b64encode(b"two").decode(), "contentType": "bytes", "delaySecs": 50},
    ]
    asked.ask("/batch", json.dumps({"messages": entries}).encode(), delay="7")
    assert asked.kept() == [(b"one", "text", 7), (b"two", "bytes", 50)]


def test_metrics_are_those_of_the_queue() -> None:
    asked = Asked()
    assert json.loads(asked.ask("/metrics").body) == {
        "backlogCount": 0,
        "backlogBytes": 0,
        "oldestMessageTimestamp": 0,
    }
    asked.ask("/message", b"12345")
    expected = {"backlogCount": 1, "backlogBytes": 5, "oldestMessageTimestamp": round(asked.clock.now() * 1000)}
    assert json.loads(asked.ask("/metrics").body) == expected


@pytest.mark.parametrize(
    ("target", "body", "fmt", "delay", "expected"),
    [
        ("/message", b"x" * 128_001, "", "", ("10204", b"Message is 128,001 bytes long")),
        ("/message", b"", "xml", "", ("10203", b"there is no content type 'xml'")),
        ("/message", b"undefined", "json", "", ("10208", b"Message body is nothing that JSON can say")),
        (
            "/batch",
            b'{"messages": [{"body": "MQ==", "contentType": "json"}, {"body": "dW5kZWZpbmVk", "contentType": "json"}]}',
            "",
            "",
            ("10208", b"Message body is nothing that JSON can say"),
        ),
        ("/message", b"", "", "soon", ("15000", b"the request is damaged: ")),
        ("/batch", b"{}", "", "", ("15000", b"the request is damaged: ")),
        ("/batch", b'{"messages": [{"body": "a"}]}', "", "", ("15000", b"the request is damaged: ")),
    ],
)
def test_what_is_refused_has_a_code_and_its_cause_in_the_status_line(
    target: str, body: bytes, fmt: str, delay: str, expected: tuple[str, bytes]
) -> None:
    asked = Asked()
    code, cause = expected
    response = asked.ask(target, body, fmt=fmt, delay=delay)
    assert (response.status, code_of(response), asked.kept()) == (400, code, [])
    assert response.reason.startswith(cause)
    assert response.reason == dict(response.headers)[b"CF-Queues-Error-Cause"]


def test_a_queue_that_is_not_there_is_refused() -> None:
    assert code_of(Asked().ask("/metrics", producer=Producer("X", "nowhere"))) == "10104"


def test_each_producer_is_wired_to_what_answers_it() -> None:
    asked = Asked()
    (wiring,) = wire(asked.queues, "shop", {"ORDERS": ORDERS})
    assert (wiring.name, wiring.binding) == ("ORDERS", {"queue": Reference()})
    service = wiring.services[""]
    assert isinstance(service, Answered)
    answering = service.answer(WireRequest(b"POST", "/message", {}, b"1"))
    assert isinstance(answering, Coroutine)
    run_now(answering)
    assert asked.kept() == [(b"1", "v8", 9)]
