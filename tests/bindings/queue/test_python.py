"""`env.QUEUE`: what worker code may send, what it gets back, and every way in which it is refused."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.base.coroutines import run_now
from emulator.bindings.queue.python import QueueBinding
from emulator.queues import checks
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.events import MessagesSent
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.message import QueueMessage
from emulator.queues.service import Queues
from emulator.queues.settings import QueueSettings

R = TypeVar("R")
T = 1_800_000_000.0


class Shop:
    """A worker's binding, the queue behind it, and the warnings that it was given."""

    def __init__(self, *, delivery_delay: int = 0, **options: Any) -> None:
        self.bus = Bus()
        clock = VirtualClock(T)
        self.queues = Queues(MemoryEngine(clock), self.bus, clock)
        run_now(self.queues.start())
        run_now(self.queues.create_queue("orders", QueueSettings(delivery_delay=delivery_delay)))
        self.warnings: list[str] = []
        self.binding = QueueBinding(
            self.queues,
            "orders",
            worker="shop",
            directory=Path(__file__).parent,
            on_warning=self.warnings.append,
            **options,
        )

    def send(self, *arguments: Any, **keywords: Any) -> Any:
        return done(self.binding.send(*arguments, **keywords))

    def send_batch(self, *arguments: Any, **keywords: Any) -> Any:
        return done(self.binding.sendBatch(*arguments, **keywords))

    @property
    def waiting(self) -> list[QueueMessage]:
        return list(run_now(self.queues.waiting("orders")))

    @property
    def bodies(self) -> list[bytes]:
        return [each.body for each in self.waiting]

    @property
    def delays(self) -> list[float]:
        return [each.ready_at - T for each in self.waiting]


def done(awaitable: Awaitable[R]) -> R:
    async def main() -> R:
        return await awaitable

    return asyncio.run(main())


def refuses(code: QueueErrorCode) -> Any:
    """The call raises an error of the service whose text ends with its code."""
    return pytest.raises(QueueError, match=rf"[^ ] \({code.value}\)$")


# What is sent


def test_a_body_is_sent_as_json() -> None:
    shop = Shop()
    shop.send({"type": "signup", "tags": [1, None]})
    (sent,) = shop.waiting
    assert (sent.body, sent.content_type) == (b'{"type":"signup","tags":[1,null]}', "json")


def test_none_is_a_body() -> None:
    shop = Shop()
    shop.send(None)
    assert shop.bodies == [b"null"]


def test_the_default_content_type_is_that_of_the_binding() -> None:
    shop = Shop(content_type="v8")
    shop.send({1, 2})
    shop.send_batch([{"body": {3}}])
    assert [each.content_type for each in shop.waiting] == ["v8", "v8"]


@pytest.mark.parametrize(
    ("content_type", "body", "encoded"), [("text", "hi", b"hi"), ("bytes", b"\x00", b"\x00"), ("json", "hi", b'"hi"')]
)
def test_a_content_type_can_be_chosen(content_type: str, body: object, encoded: bytes) -> None:
    shop = Shop(content_type="v8")
    shop.send(body, contentType=content_type)
    shop.send(body, {"contentType": content_type})
    shop.send_batch([{"body": body, "contentType": content_type}])
    assert [(each.body, each.content_type) for each in shop.waiting] == [(encoded, content_type)] * 3


def test_a_content_type_may_be_written_in_capitals_in_send_and_not_in_send_batch() -> None:
    shop = Shop()
    shop.send("hi", contentType="TEXT")
    shop.send("hi", {"contentType": "Json"})
    assert [each.content_type for each in shop.waiting] == ["text", "json"]
    with pytest.raises(TypeError, match="Unsupported queue message content type: TEXT"):
        shop.send_batch([{"body": "hi", "contentType": "TEXT"}])


def test_an_option_of_none_is_no_option() -> None:
    shop = Shop(delivery_delay=7)
    shop.send("hi", contentType=None, delaySeconds=None)
    shop.send("hi", None)
    shop.send("hi", {})
    assert {(each.content_type, each.ready_at) for each in shop.waiting} == {("json", T + 7)}


def test_a_keyword_wins_over_the_dict() -> None:
    shop = Shop()
    shop.send("hi", {"delaySeconds": 5}, delaySeconds=6)
    assert shop.delays == [6]


def test_the_options_that_were_given_are_not_changed() -> None:
    shop = Shop()
    options = {"contentType": "text", "delaySeconds": 5}
    entry = {"body": "hi", "contentType": "text"}
    shop.send("hi", options)
    shop.send_batch([entry], {"delaySeconds": 5})
    assert options == {"contentType": "text", "delaySeconds": 5}
    assert entry == {"body": "hi", "contentType": "text"}


def test_a_batch_is_sent_in_its_order() -> None:
    shop = Shop()
    shop.send_batch({"body": number} for number in range(5))
    assert shop.bodies == [b"0", b"1", b"2", b"3", b"4"]


def test_what_is_sent_is_told_with_the_name_of_the_worker() -> None:
    shop = Shop()
    events: list[MessagesSent] = []
    shop.bus.subscribe(MessagesSent, events.append)
    shop.send("hi")
    assert [(event.queue, event.source) for event in events] == [("orders", "shop")]


def test_the_binding_shows_its_queue() -> None:
    assert repr(Shop().binding) == "<Queue orders>"


def test_the_delay_of_a_message_is_its_own_else_the_queues() -> None:
    shop = Shop(delivery_delay=20)
    shop.send("own", delaySeconds=10)
    shop.send("queue")
    assert (shop.delays, shop.bodies) == ([10, 20], [b'"own"', b'"queue"'])


def test_the_delay_in_a_batch_is_the_messages_else_the_batchs_else_the_queues() -> None:
    shop = Shop(delivery_delay=30)
    shop.send_batch([{"body": 1, "delaySeconds": 10}, {"body": 2}], delaySeconds=20)
    shop.send_batch([{"body": 3}, {"body": 4, "delaySeconds": None}])
    assert shop.delays == [10, 20, 30, 30]


def test_a_delay_of_0_overrides_every_default() -> None:
    shop = Shop(delivery_delay=40)
    shop.send(1, delaySeconds=0)
    shop.send(1, {"delaySeconds": 0})
    shop.send_batch([{"body": 1, "delaySeconds": 0}], delaySeconds=20)
    shop.send_batch([{"body": 1}], {"delaySeconds": 0})
    assert shop.delays == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (0, 0),
        (86_400, 86_400),
        (5.0, 5),
        (1.7, 1),
        (-0.5, 0),
        ("5", 5),
        (True, 1),
        (math.nan, 0),
        (math.inf, 0),
        ([5], 0),
    ],
    ids=repr,
)
def test_a_delay_is_converted_to_whole_seconds_as_javascript_does(delay: object, seconds: int) -> None:
    shop = Shop()
    shop.send(1, delaySeconds=delay)
    shop.send_batch([{"body": 1}], delaySeconds=delay)
    shop.send_batch([{"body": 1, "delaySeconds": delay}])
    assert shop.delays == [seconds] * 3


BAD_DELAYS = [-1, 86_401, "-1", "86401", -1.5, 2**31 - 1]


@pytest.mark.parametrize("delay", BAD_DELAYS, ids=repr)
def test_a_bad_delay_of_a_message_is_10203(delay: object) -> None:
    shop = Shop()
    with refuses(QueueErrorCode.MESSAGE_METADATA_INVALID):
        shop.send(1, delaySeconds=delay)
    with refuses(QueueErrorCode.MESSAGE_METADATA_INVALID):
        shop.send_batch([{"body": 1}, {"body": 1, "delaySeconds": delay}])
    assert shop.waiting == []


@pytest.mark.parametrize("delay", BAD_DELAYS, ids=repr)
def test_a_bad_delay_of_a_batch_is_10202(delay: object) -> None:
    shop = Shop()
    with refuses(QueueErrorCode.BATCH_DELAY_INVALID):
        shop.send_batch([{"body": 1, "delaySeconds": 5}], delaySeconds=delay)
    assert shop.waiting == []


@pytest.mark.parametrize("delay", [2**31, -(2**31) - 1, 1e300, "1e300"], ids=repr)
def test_a_delay_beyond_32_bits_is_a_type_error(delay: object) -> None:
    shop = Shop()
    calls: list[Callable[[], Any]] = [
        lambda: shop.send(1, delaySeconds=delay),
        lambda: shop.send_batch([{"body": 1}], delaySeconds=delay),
        lambda: shop.send_batch([{"body": 1}, {"body": 1, "delaySeconds": delay}]),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="Value out of range"):
            call()
    assert shop.waiting == []


def test_a_message_has_at_most_128_000_bytes() -> None:
    shop = Shop()
    shop.send(b"x" * 128_000, contentType="bytes")
    with refuses(QueueErrorCode.MESSAGE_SIZE_OUT_OF_BOUNDS):
        shop.send(b"x" * 128_001, contentType="bytes")
    assert len(shop.waiting) == 1


def test_the_size_of_a_message_is_that_of_its_encoded_body() -> None:
    shop = Shop()
    shop.send("\u00e9" * 63_999)
    with refuses(QueueErrorCode.MESSAGE_SIZE_OUT_OF_BOUNDS):
        shop.send("\u00e9" * 64_000)


def test_a_message_over_the_limit_in_a_batch_is_10204() -> None:
    shop = Shop()
    with refuses(QueueErrorCode.MESSAGE_SIZE_OUT_OF_BOUNDS):
        shop.send_batch([{"body": "x"}, {"body": "x" * 128_000}])
    assert shop.waiting == []


def test_a_batch_has_at_most_100_messages() -> None:
    shop = Shop()
    shop.send_batch([{"body": 1}] * 100)
    with refuses(QueueErrorCode.BATCH_COUNT_OUT_OF_BOUNDS):
        shop.send_batch([{"body": 1}] * 101)
    assert len(shop.waiting) == 100


def test_a_batch_has_at_most_256_000_bytes() -> None:
    shop = Shop()
    full = [{"body": b"x" * 85_000, "contentType": "bytes"}] * 3
    shop.send_batch([*full, {"body": b"x" * 1_000, "contentType": "bytes"}])
    with refuses(QueueErrorCode.BATCH_SIZE_OUT_OF_BOUNDS):
        shop.send_batch([*full, {"body": b"x" * 1_001, "contentType": "bytes"}])
    assert len(shop.waiting) == 4


def test_a_full_queue_is_10251(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_BACKLOG_BYTES", 3)
    shop = Shop()
    shop.send("x")
    with refuses(QueueErrorCode.QUEUE_STORAGE_LIMIT_EXCEEDED):
        shop.send("x")


def test_a_queue_that_is_gone_is_10104() -> None:
    shop = Shop()
    run_now(shop.queues.delete_queue("orders"))
    with refuses(QueueErrorCode.QUEUE_NOT_FOUND):
        shop.send(1)
    with refuses(QueueErrorCode.QUEUE_NOT_FOUND):
        shop.send_batch([{"body": 1}])
    with refuses(QueueErrorCode.QUEUE_NOT_FOUND):
        done(shop.binding.metrics())


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (10104, "QUEUE_NOT_FOUND"),
        (10202, "BATCH_DELAY_INVALID"),
        (10203, "MESSAGE_METADATA_INVALID"),
        (10204, "MESSAGE_SIZE_OUT_OF_BOUNDS"),
        (10205, "BATCH_SIZE_OUT_OF_BOUNDS"),
        (10206, "BATCH_COUNT_OUT_OF_BOUNDS"),
        (10207, "JSON_REQUEST_BODY_INVALID"),
        (10208, "JSON_REQUEST_BODY_MALFORMED"),
        (10250, "QUEUE_OVERLOADED"),
        (10251, "QUEUE_STORAGE_LIMIT_EXCEEDED"),
        (10252, "QUEUE_DISABLED"),
        (15000, "UNKNOWN_INTERNAL_ERROR"),
    ],
)
def test_the_codes_are_those_of_the_service(code: int, name: str) -> None:
    assert QueueErrorCode(code).name == name


def test_error_codes_can_be_hidden() -> None:
    shop = Shop(expose_error_codes=False)
    calls: list[Callable[[], Any]] = [
        lambda: shop.send(1, delaySeconds=-1),
        lambda: shop.send(1, delaySeconds="-7"),
        lambda: shop.send("x" * 128_000),
    ]
    for call in calls:
        with pytest.raises(QueueError, match=r"^Queue send failed: .*[^)]$"):
            call()
    for call in (lambda: shop.send_batch([{"body": 1}], delaySeconds=-1), lambda: shop.send_batch([{"body": 1}] * 101)):
        with pytest.raises(QueueError, match=r"^Queue sendBatch failed: .*[^)]$"):
            call()


def test_error_codes_are_hidden_from_metrics_too() -> None:
    shop = Shop(expose_error_codes=False)
    run_now(shop.queues.delete_queue("orders"))
    with pytest.raises(QueueError, match=r"^[^(]*$"):
        done(shop.binding.metrics())


# Wrong types


def test_a_missing_body_is_a_type_error() -> None:
    shop = Shop()
    calls: list[Callable[[], Any]] = [
        shop.send,
        lambda: shop.send(contentType="text"),
        lambda: shop.send_batch([{}]),
        lambda: shop.send_batch([{"delaySeconds": 1}]),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="body cannot be undefined"):
            call()


@pytest.mark.parametrize("empty", [[], (), {}, iter(())], ids=lambda value: type(value).__name__)
def test_an_empty_batch_is_a_type_error(empty: object) -> None:
    with pytest.raises(TypeError, match="at least one message"):
        Shop().send_batch(empty)


@pytest.mark.parametrize("entries", ["hi", [1], ["hi"], [None], [[("body", 1)]], {"body": 1}], ids=repr)
def test_an_entry_of_a_batch_that_is_no_dict_is_a_type_error(entries: object) -> None:
    with pytest.raises(TypeError, match="sendBatch"):
        Shop().send_batch(entries)


@pytest.mark.parametrize("content_type", ["xml", "", "application/json", 5, ["json"]], ids=repr)
def test_an_unknown_content_type_is_a_type_error(content_type: object) -> None:
    shop = Shop()
    with pytest.raises(TypeError, match="Unsupported queue message content type"):
        shop.send("hi", contentType=content_type)
    with pytest.raises(TypeError, match="Unsupported queue message content type"):
        shop.send_batch([{"body": "hi", "contentType": content_type}])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text", b"hi"),
        ("bytes", "hi"),
        ("json", (1,)),
        ("json", lambda: 1),
        ("json", {"nested": lambda: 1}),
        ("v8", object()),
    ],
)
def test_a_body_that_does_not_fit_its_content_type_is_a_type_error(content_type: str, body: object) -> None:
    shop = Shop()
    with pytest.raises(TypeError):
        shop.send(body, contentType=content_type)
    with pytest.raises(TypeError):
        shop.send_batch([{"body": "fine"}, {"body": body, "contentType": content_type}])
    assert shop.waiting == []


def test_a_batch_is_all_or_nothing() -> None:
    shop = Shop()
    fine = {"body": "fine"}
    for bad in ({"body": (1,)}, {"body": 1, "delaySeconds": -1}, {"body": "x" * 128_000}, {}, 5):
        with pytest.raises((TypeError, QueueError)):
            shop.send_batch([fine, bad, fine])
    assert shop.waiting == []


def test_an_unknown_option_is_a_warning_and_the_message_is_sent() -> None:
    shop = Shop()
    shop.send("hi", delayseconds=5)
    shop.send_batch([{"body": "hi", "contenttype": "text"}], {"retries": 3})
    assert len(shop.waiting) == 3 - 1
    assert [text.split(" ignores the option ")[0] for text in shop.warnings] == ["send()", "sendBatch()", "sendBatch()"]
    assert "'delayseconds'" in shop.warnings[0]


def test_a_content_type_for_a_whole_batch_is_not_claimed_to_be_known() -> None:
    shop = Shop()
    shop.send_batch([{"body": "hi"}], contentType="text")
    (warning,) = shop.warnings
    assert "contentType" in warning
    assert "knows contentType" not in warning


# What comes back


def test_send_and_send_batch_return_the_backlog() -> None:
    shop = Shop()
    answers = [shop.send("four"), shop.send_batch([{"body": "a"}, {"body": "b"}])]
    oldest = datetime.fromtimestamp(T, UTC).replace(tzinfo=None)
    assert answers == [
        {"metadata": {"metrics": {"backlogCount": 1, "backlogBytes": 6, "oldestMessageTimestamp": oldest}}},
        {"metadata": {"metrics": {"backlogCount": 3, "backlogBytes": 12, "oldestMessageTimestamp": oldest}}},
    ]
    assert answers[0].metadata.metrics.backlogCount == 1


def test_metrics_returns_the_backlog_itself() -> None:
    shop = Shop()
    shop.send("four")
    metrics = done(shop.binding.metrics())
    assert (metrics.backlogCount, metrics.backlogBytes) == (1, 6)
    assert metrics.oldestMessageTimestamp == datetime.fromtimestamp(T, UTC).replace(tzinfo=None)


def test_an_empty_queue_has_no_oldest_message() -> None:
    metrics = done(Shop().binding.metrics())
    assert metrics == {"backlogCount": 0, "backlogBytes": 0, "oldestMessageTimestamp": None}
