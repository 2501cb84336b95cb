"""The short form of the trial of a shared queue: it harms, counts, and finds nothing lost."""

from __future__ import annotations

from tests.trials.shared import Report, run


def test_a_short_trial_loses_nothing() -> None:
    report = run(4.0, 1)
    assert report.is_good, report
    assert report.accepted > 100
    assert report.harms


def test_a_message_that_is_lost_or_dead_twice_is_not_good() -> None:
    assert Report(1).is_good
    assert not Report(1, lost=["one"]).is_good
    assert not Report(1, doubled=["one"]).is_good
    assert not Report(0).is_good
