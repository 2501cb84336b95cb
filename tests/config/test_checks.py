"""Checks of single values, and how an error message shows a value."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from emulator.base.ranges import Range
from emulator.config import checks
from emulator.config.checks import Check, found, is_identifier, one_of, whole


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.WORKER_NAME, "a" * 63),
        (checks.WORKER_NAME, "_shop-2"),
        (checks.BINDING, "$my_QUEUE2"),
        (checks.DATE, "2024-02-29"),
        (checks.CPU_TIME, 300_000),
        (checks.PORT_NUMBER, 0),
        (checks.TEXT, " "),
        (checks.STRING, ""),
        (one_of("a", "b"), "b"),
    ],
)
def test_a_check_accepts_what_it_describes(check: Check, value: object) -> None:
    assert check.accepts(value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.WORKER_NAME, "a" * 64),
        (checks.WORKER_NAME, "-shop"),
        (checks.WORKER_NAME, "Shop"),
        (checks.WORKER_NAME, "shop\n"),
        (checks.BINDING, "2QUEUE"),
        (checks.BINDING, "MY-QUEUE"),
        (checks.BINDING, "ORDÉRS"),
        (checks.DATE, "2026-02-29"),
        (checks.DATE, "2026-1-31"),
        (checks.DATE, date(2026, 1, 31)),
        (checks.CPU_TIME, 0),
        (checks.CPU_TIME, True),
        (checks.CPU_TIME, 1.0),
        (checks.PORT_NUMBER, 65_536),
        (checks.BOOLEAN, 1),
        (checks.TEXT, ""),
        (one_of("a", "b"), "c"),
    ],
)
def test_a_check_refuses_everything_else(check: Check, value: object) -> None:
    assert not check.accepts(value)


def test_a_check_says_what_it_allows() -> None:
    assert whole(Range(1, 1000)).allowed == "a whole number from 1 to 1,000"
    assert one_of("worker", "http_pull").allowed == '"worker" or "http_pull"'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": 1}, "an object"),
        ([1], "an array"),
        (None, "null"),
        (True, "true"),
        ("é", '"é"'),
        ("x" * 100, f'"{"x" * 59}...'),
        (date(2026, 1, 31), "the date 2026-01-31"),
        (datetime(2026, 1, 31, tzinfo=UTC), "the date 2026-01-31 00:00:00+00:00"),
        (time(10, 30), "the time 10:30:00"),
    ],
)
def test_a_value_is_shown_as_the_file_would_have_it(value: object, shown: str) -> None:
    assert found(value) == shown


def test_an_identifier_can_follow_a_dot() -> None:
    assert is_identifier("MY_QUEUE")
    assert not is_identifier("MY QUEUE")
    assert not is_identifier("")
