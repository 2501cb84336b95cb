"""Which cron expressions are accepted, those that production accepts, and when they are due."""

from __future__ import annotations

from datetime import UTC, datetime
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


def fields(low: int, high: int, *special: str) -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    part = st.one_of(
        st.just("*"),
        number,
        st.tuples(number, number).map("-".join),
        st.tuples(number, st.integers(1, high)).map("{0[0]}/{0[1]}".format),
        st.integers(1, high).map("*/{}".format),
        *map(st.just, special),
    )
    return st.lists(part, min_size=1, max_size=2).map(",".join)


@given(
    st.tuples(
        fields(0, 59), fields(0, 23), fields(1, 31, "L", "15W"), fields(1, 12), fields(1, 7, "L", "2#3", "6L")
    ).map(" ".join),
    st.integers(1_700_000_000, 1_900_000_000),
)
def test_the_next_time_is_the_first_that_matches(cron: str, after: int) -> None:
    assert not cron_problem(cron)
    parsed = parse(cron)
    due = parsed.next_after(after)
    assert due is not None
    assert due > after
    assert due % 60 == 0
    moment = datetime.fromtimestamp(due, UTC)
    assert moment.minute in parsed.minutes
    assert moment.hour in parsed.hours
    # Whatever is asked about in between gives the same answer, so nothing earlier was passed over.
    for share in (0.25, 0.5, 0.999):
        assert parsed.next_after(after + (due - 1 - after) * share) == due
