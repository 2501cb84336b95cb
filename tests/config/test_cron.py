"""Which cron expressions are accepted, those that production accepts, and when they are due."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.config.cron import cron_problem, parse
from tests.config.project import assert_errors, wrap, write
from tests.support.configs import load_config


@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *",
        "*/30 * * * *",
        "0 17 * * sun",
        "10 7 * * mon-fri",
        "10 7 * * 2-6",
        "0 15 1 * *",
        "0 18 * * 6L",
        "0 18 * * friL",
        "59 23 LW * *",
        "0 0 L * *",
        "0 0 15W JAN,jul *",
        "0,30 8-17/2 * 1-12 MON#2",
        "5/15 * L-3 * *",
    ],
)
def test_crons_that_production_accepts(tmp_path: Path, cron: str) -> None:
    config = load_config(write(tmp_path, wrap(f'"triggers": {{"crons": ["{cron}"]}}')))
    assert config.crons == (cron,)


@pytest.mark.parametrize(
    ("cron", "part", "allowed"),
    [
        ("60 * * * *", "60", "minute 0 to 59"),
        ("* 24 * * *", "24", "hour 0 to 23"),
        ("* * 0 * *", "0", "day of the month 1 to 31"),
        ("* * 32W * *", "32W", "day of the month 1 to 31"),
        ("* * * 13 *", "13", "month 1 to 12 or JAN to DEC"),
        ("* * * MAI *", "MAI", "month 1 to 12 or JAN to DEC"),
        ("* * * * 0", "0", "day of the week 1 to 7 or SUN to SAT, where 1 is Sunday"),
        ("* * * * MON#6", "MON#6", "day of the week 1 to 7 or SUN to SAT, where 1 is Sunday"),
        ("*/0 * * * *", "*/0", "minute 0 to 59"),
        ("L * * * *", "L", "minute 0 to 59"),
        ("1- * * * *", "1-", "minute 0 to 59"),
        ("1,,2 * * * *", "1,,2", "minute 0 to 59"),
        ("1.5 * * * *", "1.5", "minute 0 to 59"),
        ("² * * * *", "²", "minute 0 to 59"),
        ("*/60 * * * *", "*/60", "minute 0 to 59"),
        ("*/0100 * * * *", "*/0100", "minute 0 to 59"),
        ("*,5 * * * *", "*,5", "minute 0 to 59"),
        ("*-5/2 * * * *", "*-5/2", "minute 0 to 59"),
        ("* * 1,L * *", "1,L", "day of the month 1 to 31"),
        ("* * l * *", "l", "day of the month 1 to 31"),
        ("* * * * fril", "fril", "day of the week 1 to 7 or SUN to SAT, where 1 is Sunday"),
    ],
)
def test_a_cron_field_that_production_refuses(tmp_path: Path, cron: str, part: str, allowed: str) -> None:
    text = wrap(f'"triggers": {{"crons": [▶"{cron}"]}}')
    assert_errors(tmp_path, text, [f'triggers.crons[0]: "{part}" is not allowed here: {allowed}'])


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("* * * * *", "2026-11-26T10:00:00", "2026-11-26T10:01"),
        ("* * * * *", "2026-11-26T10:00:59.999", "2026-11-26T10:01"),
        ("*/10 * * * *", "2026-11-26T10:51", "2026-11-26T11:00"),
        ("5/15 * * * *", "2026-11-26T10:51", "2026-11-26T11:05"),
        ("50-10/10 * * * *", "2026-11-26T10:51", "2026-11-26T11:00"),
        ("0 22-2 * * *", "2026-11-26T23:00", "2026-11-27T00:00"),
        ("0 17 * * sun", "2026-11-26T10:00", "2026-11-29T17:00"),
        ("0 17 * * 1", "2026-11-26T10:00", "2026-11-29T17:00"),
        ("0 17 * * FRI-MON", "2026-11-29T17:00", "2026-11-30T17:00"),
        ("10 7 * * mon-fri", "2026-11-27T07:10", "2026-11-30T07:10"),
        ("0 0 L * *", "2026-02-27T10:00", "2026-02-28T00:00"),
        ("0 0 L-3 * *", "2026-02-01T10:00", "2026-02-25T00:00"),
        ("0 0 LW * *", "2026-01-01T10:00", "2026-01-30T00:00"),
        ("0 0 L-1W * *", "2026-02-01T10:00", "2026-02-27T00:00"),
        ("0 0 15W * *", "2026-08-01T10:00", "2026-08-14T00:00"),
        ("0 0 15W * *", "2026-02-01T10:00", "2026-02-16T00:00"),
        ("0 0 1W * *", "2026-07-31T10:00", "2026-08-03T00:00"),
        ("0 0 31W * *", "2026-05-01T10:00", "2026-05-29T00:00"),
        ("0 18 * * friL", "2026-11-01T10:00", "2026-11-27T18:00"),
        ("0 18 * * 6L", "2026-11-01T10:00", "2026-11-27T18:00"),
        ("0 18 * * L", "2026-11-26T10:00", "2026-11-28T18:00"),
        ("0 0 * * MON#2", "2026-11-01T10:00", "2026-11-09T00:00"),
        ("0 0 * * MON#5", "2026-11-01T10:00", "2026-11-30T00:00"),
        ("0 0 13 * FRI", "2026-11-07T10:00", "2026-11-13T00:00"),
        ("0 0 15 * FRI", "2026-11-13T10:00", "2026-11-15T00:00"),
        ("0 0 */2 * FRI", "2026-11-02T00:00", "2026-11-03T00:00"),
        ("0 0 29 2 *", "2026-11-01T10:00", "2028-02-29T00:00"),
        ("0 0 * JAN *", "2026-11-01T10:00", "2027-01-01T00:00"),
        ("59 23 31 12 *", "2026-12-31T23:59", "2027-12-31T23:59"),
    ],
)
def test_when_a_cron_is_due_next(cron: str, after: str, due: str) -> None:
    assert not cron_problem(cron)
    assert parse(cron).next_after(at(after)) == at(due)


def test_a_cron_that_is_never_due() -> None:
    assert parse("0 0 30 2 *").next_after(at("2026-01-01T00:00")) is None


def test_the_29th_of_february_over_a_century_without_one() -> None:
    assert parse("0 0 29 2 *").next_after(at("2096-03-01T00:00")) == at("2104-02-29T00:00")


DAYS_LOOKED_AT = 40


def fields(low: int, high: int, *special: str) -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    step = st.integers(1, high - low).map(str)
    part = st.one_of(
        number,
        st.tuples(number, number).map("-".join),
        st.tuples(number, step).map("/".join),
        st.tuples(number, number, step).map("{0[0]}-{0[1]}/{0[2]}".format),
        step.map("*/{}".format),
    )
    return st.one_of(st.just("*"), *map(st.just, special), st.lists(part, min_size=1, max_size=3).map(",".join))


def allows(field: str, value: int, low: int, high: int) -> bool:
    """Whether a field of numbers allows a value, found by walking along each part, step by step and around."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        start, _, end = span.partition("-")
        walking = low if span == "*" else int(start)
        last = high if span == "*" or (step and not end) else int(end or start)
        taken = 0
        while True:
            if walking == value and taken % int(step or 1) == 0:
                return True
            if walking == last:
                break
            walking = low if walking == high else walking + 1
            taken += 1
    return False


def is_day(field: str, day: date) -> bool:
    month = [day.replace(day=1) + timedelta(days=count) for count in range(31)]
    month = [each for each in month if each.month == day.month]
    if not field.endswith("W") and not field.startswith("L"):
        return allows(field, day.day, 1, 31)
    number = field.removesuffix("W")
    index = len(month) - 1 - int(number[2:] or 0) if number.startswith("L") else int(number) - 1
    if not 0 <= index < len(month):
        return False
    if not field.endswith("W"):
        return day == month[index]
    working = [each for each in month if each.isoweekday() < 6]
    return day == min(working, key=lambda each: abs(each - month[index]))


def is_weekday(field: str, day: date) -> bool:
    number = day.isoweekday() % 7 + 1
    if field == "L":
        return number == 7
    if field.endswith("L"):
        return number == int(field[0]) and (day + timedelta(days=7)).month != day.month
    if "#" in field:
        same = [each for each in range(1, day.day + 1) if (day.day - each) % 7 == 0]
        return number == int(field[0]) and len(same) == int(field[2])
    return allows(field, number, 1, 7)


def is_due_on(days: str, months: str, weekdays: str, day: date) -> bool:
    if not allows(months, day.month, 1, 12):
        return False
    if days != "*" and weekdays != "*":
        return is_day(days, day) or is_weekday(weekdays, day)
    return (days == "*" or is_day(days, day)) and (weekdays == "*" or is_weekday(weekdays, day))


def first_minute(cron: str, after: int) -> int | None:
    """The first minute after `after` at which `cron` is due, of the days that are looked at, found by trying each."""
    minutes, hours, days, months, weekdays = cron.split()
    allowed_minutes = {each for each in range(60) if allows(minutes, each, 0, 59)}
    allowed_hours = {each for each in range(24) if allows(hours, each, 0, 23)}
    is_due = cache(partial(is_due_on, days, months, weekdays))
    minute = after - after % 60 + 60
    return next(
        (
            each
            for each in range(minute, minute + DAYS_LOOKED_AT * 86_400, 60)
            if each // 60 % 60 in allowed_minutes and each // 3600 % 24 in allowed_hours
            if is_due(datetime.fromtimestamp(each, UTC).date())
        ),
        None,
    )


@given(
    st.tuples(
        fields(0, 59),
        fields(0, 23),
        fields(1, 31, "L", "L-3", "LW", "L-2W", "1W", "15W", "31W"),
        fields(1, 12),
        fields(1, 7, "L", "2#3", "6#5", "6L"),
    ).map(" ".join),
    st.integers(1_700_000_000, 1_900_000_000),
)
def test_the_next_time_is_the_first_minute_that_matches(cron: str, after: int) -> None:
    assert not cron_problem(cron)
    due, expected = parse(cron).next_after(after), first_minute(cron, after)
    if expected is None:
        assert due is None or due >= after + DAYS_LOOKED_AT * 86_400
    else:
        assert due == expected
