"""Which cron expressions are accepted: those that production accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

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
