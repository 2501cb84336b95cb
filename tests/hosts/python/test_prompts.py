"""What is changed around prompts, and put back. How it feels on a terminal is in tests/integration/test_keys.py."""

from __future__ import annotations

import bdb
import builtins
import pdb  # noqa: T100 - it is what is changed
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from emulator.hosts.python import prompts


def _state() -> tuple[object, ...]:
    return (builtins.input, sys.breakpointhook, pdb.Pdb.interaction, pdb.Pdb.set_trace, vars(pdb.Pdb).get("nosigint"))


def test_everything_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "breakpointhook", sys.__breakpointhook__)
    monkeypatch.delenv("PYTHONBREAKPOINT", raising=False)
    monkeypatch.setattr(builtins, "input", lambda _prompt: "typed")
    before = _state()
    restore = prompts.install()
    assert input("? ") == "typed"
    assert not [name for old, name in zip(before, _state(), strict=True) if old is name and name is not None]
    debugger: Any = pdb.Pdb(nosigint=False)
    assert debugger.nosigint is True
    restore()
    assert _state() == before


def test_another_debugger_keeps_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "breakpointhook", sys.__breakpointhook__)
    monkeypatch.setenv("PYTHONBREAKPOINT", "ipdb.set_trace")
    restore = prompts.install()
    assert sys.breakpointhook is sys.__breakpointhook__
    restore()


def test_a_prompt_has_ctrl_c_and_the_terminal_while_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    @contextmanager
    def lend() -> Iterator[None]:
        seen.append("lent")
        yield
        seen.append("returned")

    def read(_prompt: object) -> str:
        seen.append(signal.getsignal(signal.SIGINT))
        raise EOFError

    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr(builtins, "input", read)
    monkeypatch.setattr(prompts, "lenders", [lend])
    restore = prompts.install()
    try:
        with pytest.raises(EOFError):
            input()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        restore()
        signal.signal(signal.SIGINT, handler)
    assert seen == ["lent", signal.default_int_handler]


def test_a_debugger_that_was_told_to_continue_is_not_stepping(monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = bdb.Bdb()
    debugger.reset()
    monkeypatch.setattr(sys, "gettrace", lambda: debugger.trace_dispatch)
    debugger.set_step()
    assert prompts.is_stepping()
    debugger.stoplineno = -1
    assert not prompts.is_stepping()
