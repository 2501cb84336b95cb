"""The targets of the benchmark: when one is met, and how the table says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.rows import MEASURES, ROWS, SUITE_ROWS, Row
from bench.sides import EMULATOR_JAVASCRIPT, BenchError, emulator_side, node_sides, sides_against, uvicorn_side
from bench.suites import SUITE_MEASURES, VITEST
from bench.table import compare, render


def row(name: str) -> Row:
    return next(row for row in (*ROWS, *SUITE_ROWS) if row.name == name)


def test_a_rate_is_compared_as_ours_by_theirs() -> None:
    medians = {"emulator": 20_000.0, "wrangler": 1_000.0, "uvicorn": 25_000.0}
    fifteen_times_wrangler, most_of_uvicorn = row("ok").targets
    assert row("ok").met(fifteen_times_wrangler, medians) is True
    assert row("ok").met(most_of_uvicorn, medians) is False


def test_a_duration_is_compared_as_theirs_by_ours() -> None:
    medians = {"emulator": 0.5, "wrangler": 2.0, "uvicorn": 0.25}
    four_times_wrangler, near_uvicorn = row("start").targets
    assert row("start").times_better(medians, "wrangler") == 4.0
    assert row("start").met(four_times_wrangler, medians) is True
    assert row("start").met(near_uvicorn, medians) is False
    assert row("start").met(near_uvicorn, medians | {"emulator": 0.4}) is True


def test_a_target_against_a_side_that_did_not_run_is_neither_met_nor_missed() -> None:
    at_most, below_wrangler = row("latency").targets
    assert row("latency").met(at_most, {"emulator": 0.4}) is True
    assert row("latency").met(below_wrangler, {"emulator": 0.4}) is None
    assert row("latency").met(below_wrangler, {"emulator": 0.4, "wrangler": 0.3}) is False


def test_the_table_shows_the_median_of_the_runs_and_each_verdict() -> None:
    samples = {
        "ok": {"emulator": [100.0, 30_000.0, 31_000.0], "wrangler": [2_000.0], "uvicorn": [40_000.0]},
        "start": {"emulator": [0.15], "uvicorn": [0.1]},
        "memory": {"emulator": [40.4]},
    }
    text = render(
        samples,
        ROWS,
        {
            side.name: side.title
            for side in (emulator_side(), uvicorn_side(), *node_sides())
            if side.name != EMULATOR_JAVASCRIPT
        },
    )
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()]
    assert len({len(line) for line in text.splitlines()}) == 1
    ok = ["30,000", "40,000", "", "2,000", "15 x wrangler, 0.85 x uvicorn", "15.0 x, 0.75 x", "yes, no"]
    assert lines[2][2:] == ok
    assert lines[3][2:] == ["0.15", "0.10", "", "", "4 x wrangler, at most 1.8 x uvicorn", "?, 1.50 x", "?, yes"]
    assert lines[4] == ["idle memory, PSS", "MB", "40", "", "", "", "at most 50 MB", "40", "yes"]


def test_a_table_of_which_nothing_was_measured_is_empty() -> None:
    assert render({"ok": {"emulator": [1.0]}}, SUITE_ROWS, {"emulator": "emulator"}) == ""


def test_the_test_runners_have_a_table_of_their_own() -> None:
    samples = {"ok": {"emulator": [1.0]}, "suite": {"emulator": [1.0], VITEST: [4.5]}}
    header, _, line = render(samples, SUITE_ROWS, {"emulator": "emulator", VITEST: "vitest"}).splitlines()
    assert [cell.strip() for cell in header.split("|")][3:5] == ["emulator", "vitest"]
    assert [cell.strip() for cell in line.strip("| ").split("|")][2:] == [
        "1.00",
        "4.50",
        "below vitest",
        "4.5 x",
        "yes",
    ]


def test_every_row_about_the_testing_kit_has_its_measure() -> None:
    assert {row.measure for row in SUITE_ROWS} == set(SUITE_MEASURES) <= set(MEASURES)


def test_another_checkout_is_compared_row_by_row() -> None:
    samples = {"ok": {"emulator": [110.0], "emulator-before": [100.0]}, "start": {"emulator": [0.2], "wrangler": [1.0]}}
    _, _, line = compare(samples, ROWS, ["emulator", EMULATOR_JAVASCRIPT]).splitlines()
    assert [cell.strip() for cell in line.strip("| ").split("|")][2:] == ["emulator", "100", "110", "1.100"]


def test_a_checkout_without_an_emulator_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="is not a checkout of the emulator"):
        sides_against(tmp_path)
