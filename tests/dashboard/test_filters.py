from __future__ import annotations

from typing import Any, Final

import pytest

from emulator.dashboard.filters import FilterError, parse, quantity

MESSAGE: Final[dict[str, Any]] = {
    "id": "3f2a91c0",
    "queue": "orders",
    "state": "dead",
    "attempts": 3,
    "error": "ConnectionError: Out of reach",
    "body": {"type": "welcome-email", "user": {"name": "Ada Lovelace"}, "items": [{"id": 7}], "paid": True},
    "older": 3_700.0,
    "size": 12_000,
    "text": '3f2a91c0 {"type":"welcome-email"} ConnectionError: Out of reach',
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "state:dead",
        "state:DEAD -queue:audit",
        "state:dead attempts>2 body.type=welcome-email error~connection older>1h",
        "attempts>=3 attempts<=3 attempts:3",
        'body.user.name="ada lovelace"',
        "body.items.0.id=7",
        "body.paid:true",
        "size>10kB older<2h",
        'welcome "out of reach"',
        "-state:ready",
        "state!=ready body.nothing!=1",
        "queue:orders -body.nothing:1",
    ],
)
def test_these_hold(text: str) -> None:
    assert parse(text).matches(MESSAGE)


@pytest.mark.parametrize(
    "text",
    [
        "state:ready",
        "state:dead attempts>3",
        "attempts<3",
        "body.nothing=1",
        "body.type>3",
        "older>2h",
        "goodbye",
        '-"out of reach"',
        "state!=dead",
        "body.items.1.id=7",
        "error~timeout",
    ],
)
def test_these_do_not_hold(text: str) -> None:
    assert not parse(text).matches(MESSAGE)


@pytest.mark.parametrize("text", ['error~"out of', "attempts>many", 'a"b"', "older>1fortnight"])
def test_what_cannot_be_read_is_refused_in_words(text: str) -> None:
    with pytest.raises(FilterError, match=r"cannot be read|must be a number"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("90s", 90), ("5min", 300), ("1.5h", 5_400), ("2d", 172_800), ("10kB", 10_000)]
)
def test_quantities(text: str, number: float) -> None:
    assert quantity(text) == number


def test_quotes_may_stand_in_a_value() -> None:
    assert parse(r'error="say \"no\""').terms[0].value == 'say "no"'


def test_a_filter_says_which_queue_alone_is_meant() -> None:
    assert parse("state:dead queue:orders").only("queue") == "orders"
    assert parse("-queue:orders").only("queue") is None
