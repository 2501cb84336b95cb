"""The short form of the soak: it runs, counts and measures."""

from __future__ import annotations

from pathlib import Path

from tests.trials.soak import Report, run


def test_a_short_soak_answers_every_request(tmp_path: Path) -> None:
    report = run(tmp_path, 3.0, with_javascript=False)
    assert report.failed == 0
    assert report.requests > 20
    assert len(report.samples) >= 4
    assert 10 < report.late < 200


def test_memory_that_grows_is_not_good() -> None:
    assert Report([50.0] * 20).is_good
    assert not Report([50.0 + number for number in range(40)]).is_good
    assert not Report([50.0] * 20, failed=1).is_good
