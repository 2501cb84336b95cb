"""What a worker's settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.config.model import Place, WorkerConfig


@pytest.mark.parametrize(
    ("date", "flags", "expected"),
    [
        ("", (), True),
        ("2026-04-06", (), False),
        ("2026-04-07", (), True),
        ("2026-04-07", ("manual",), False),
        ("2026-04-06", ("auto",), True),
    ],
)
def test_a_compatibility_flag_is_set_by_name_or_by_date(date: str, flags: tuple[str, ...], expected: bool) -> None:
    place = Path("/app")
    config = WorkerConfig("chat", place, place, compatibility_date=date, compatibility_flags=frozenset(flags))
    assert config.has_flag("auto", "manual", "2026-04-07") is expected


def test_settings_that_have_moved_to_another_line_are_the_same() -> None:
    at = [Place("wrangler.jsonc", line, 1, "triggers.crons") for line in (3, 7)]
    one, other = (WorkerConfig("chat", Path("/app"), Path("/app"), place=place, crons_place=place) for place in at)
    assert one == other
