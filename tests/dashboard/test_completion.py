from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.server.addresses import DASHBOARD_API
from emulator.testing import Emulator
from tests.testing.kit_workers import FAILS, SENDS, worker


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(**worker(SENDS, FAILS)) as opened:
        for kind in ("welcome-email", "welcome-email", "out of stock"):
            opened.post("/signup?a=1", json={"type": kind, "user": {"name": "Ada", "\u202eevil": 1}, "note": "\x1b[2J"})
        opened.put("/missing", json={"type": "welcome-email"})
        opened.queue("jobs").send(b"\xff", content_type="bytes")
        opened.run_until_idle()
        yield opened


def complete(emulator: Emulator, text: str, over: str = "messages") -> tuple[str, list[str]]:
    answer = emulator.get(f"{DASHBOARD_API}/complete", params={"over": over, "filter": text}).json()
    return answer["begun"], [each["text"] for each in answer["candidates"]]


def test_an_empty_filter_begins_with_any_field(emulator: Emulator) -> None:
    begun, texts = complete(emulator, "")
    assert begun == ""
    assert texts[:5] == ["state:", "queue:", "attempts>", "error~", "body~"]
    answer = emulator.get(f"{DASHBOARD_API}/complete", params={"over": "messages"}).json()
    assert answer["candidates"][0] == {"text": "state:", "about": "where it is, or what became of it"}


@pytest.mark.parametrize(
    ("over", "text", "begun", "some"),
    [
        ("messages", "sta", "sta", ["state:"]),
        ("messages", "state:dead att", "att", ["attempts>"]),
        ("messages", "-que", "-que", ["-queue:"]),
        ("messages", "state:d", "state:d", ["state:delayed ", "state:dead ", "state:dropped ", "state:ready "]),
        ("messages", "state:in", "state:in", ['state:"in flight" ']),
        ("messages", 'state:"in f', 'state:"in f', ['state:"in flight" ']),
        ("messages", "-queue:dead", "-queue:dead", ["-queue:dead-jobs "]),
        ("messages", "typ", "typ", ["type:", "body.type="]),
        ("messages", "body.user", "body.user", ["body.user.name="]),
        ("messages", "body.type=", "body.type=", ["body.type=welcome-email ", 'body.type="out of stock" ']),
        ("messages", "body.type=STOCK", "body.type=STOCK", ['body.type="out of stock" ']),
        ("messages", "error~", "error~", ["error~ConnectionError "]),
        ("messages", "worker:", "worker:", ["worker:worker ", "worker:test "]),
        ("messages", "older>", "older>", ["older>5min ", "older>1h ", "older>1d "]),
        ("messages", "body.note=", "body.note=", []),
        ("messages", "state:dead", "state:dead", []),
        ("messages", "nothing:", "nothing:", []),
        ("requests", "method:", "method:", ["method:POST ", "method:PUT "]),
        ("requests", "status>=", "status>=", ["status>=200 "]),
        ("requests", "path~", "path~", ["path~/signup?a=1 ", "path~/missing "]),
        ("events", "level:", "level:", ["level:debug ", "level:info ", "level:warning ", "level:error "]),
        ("events", "event:fail", "event:fail", ["event:failure "]),
        ("events", "failure.t", "failure.t", ["failure.type="]),
        ("events", "failure.type=", "failure.type=", ["failure.type=ConnectionError "]),
    ],
)
def test_a_term_goes_on_with_fields_and_values_that_occur(
    emulator: Emulator, over: str, text: str, begun: str, some: list[str]
) -> None:
    found, texts = complete(emulator, text, over)
    assert (found, texts[: len(some)]) == (begun, some)
    assert some or texts == []


def test_what_would_change_how_the_rest_is_read_is_not_offered(emulator: Emulator) -> None:
    _, texts = complete(emulator, "body.")
    assert texts == ["body.type=", "body.user.name=", "body.note="]


def test_over_what_must_be_known(emulator: Emulator) -> None:
    answer = emulator.get(f"{DASHBOARD_API}/complete", params={"over": "workers"})
    assert (answer.status_code, answer.json()) == (400, {"error": "over must be one of messages, requests, events"})
