"""How paths, reasons, numbers and times are written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from emulator.base.words import (
    age,
    clean,
    count,
    cut,
    cut_middle,
    duration,
    period,
    reason,
    shown_path,
    without_credentials,
)


def test_a_path_below_the_base_is_shown_from_there() -> None:
    assert shown_path(Path("/app/src/entry.py"), Path("/app")) == "src/entry.py"
    assert shown_path("/app/src/entry.py", Path("/app")) == "src/entry.py"
    assert shown_path("/app", Path("/app")) == "."


@pytest.mark.parametrize("path", ["/application/entry.py", "src/entry.py", "<string>", "https://example.com//a"])
def test_any_other_path_is_shown_as_it_is(path: str) -> None:
    assert shown_path(path, Path("/app")) == path


def test_the_base_may_be_the_root() -> None:
    assert shown_path("/app/entry.py", Path("/")) == "app/entry.py"


def test_without_a_base_a_path_is_shown_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "entry.py") == "entry.py"


def test_a_reason_follows_a_colon() -> None:
    assert reason(PermissionError(errno.EACCES, os.strerror(errno.EACCES))) == "permission denied"
    assert reason(OSError(errno.EIO, "RPC failed")) == "RPC failed"
    assert reason(OSError("No luck")) == "no luck"
    assert reason(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 messages"), (1, "1 message"), (2, "2 messages"), (2_000, "2,000 messages")]
)
def test_a_count_agrees_with_its_noun(number: int, text: str) -> None:
    assert count(number, "message") == text


def test_a_plural_that_is_not_an_s_is_given() -> None:
    assert count(1, "delivery", "deliveries") == "1 delivery"
    assert count(3, "message was", "messages were") == "3 messages were"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 ms"), (0.0031, "3 ms"), (9.999, "9999 ms"), (10, "10.0 s"), (12.34, "12.3 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (5, "5 s"),
        (0.5, "0.5 s"),
        (60, "1 minute"),
        (90, "90 s"),
        (7_200, "2 hours"),
        (345_600, "4 days"),
        (1_209_599, "1209599 s"),
    ],
)
def test_periods_are_exact(seconds: float, text: str) -> None:
    assert period(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (0.4, "0 s"), (59, "59 s"), (61, "1 min"), (7_199, "1 h"), (400_000, "4 d")],
)
def test_ages_are_rough(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert clean("caf\u00e9") == "caf\u00e9"
    assert clean("\x1b[31m\n\u202e") == "\\x1b[31m\\n\\u202e"


def test_a_long_text_is_cut() -> None:
    assert cut("a" * 10, 10) == "a" * 10
    assert cut("a" * 11, 10) == "aaaaaaa..."
    assert cut_middle("begin" + "x" * 99 + "end", 16) == "beginxxxx...xend"
    assert cut_middle("short", 16) == "short"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/a@b?c=d@e", "https://example.com/a@b?c=d@e"),
        ("https://ada:secret@example.com/a", "https://example.com/a"),
        ("https://ada:se@cret@example.com", "https://example.com"),
        ("https://ada:secret@example.com?q=/", "https://example.com?q=/"),
        ("https://example.com?mail=a@b", "https://example.com?mail=a@b"),
        ("not a url", "not a url"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
