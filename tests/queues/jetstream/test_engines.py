"""What is imported for an engine, and what is said without its package."""

from __future__ import annotations

import subprocess
import sys

import pytest

from emulator.base.bus import Bus
from emulator.base.errors import EmulatorError
from emulator.queues.engines import engine_at

OFF = """
import sys
import emulator.cli.consume, emulator.cli.dev, emulator.server.control.app, emulator.server.serving, emulator.testing
from emulator.base.bus import Bus
from emulator.session.session import Session
Session([], Bus())
names = [name for name in sys.modules if name.partition(".")[0] in ("nats", "prometheus_client") or "jetstream" in name]
assert names == [], names
"""


def test_nothing_of_an_engine_is_imported_by_a_session_that_has_none() -> None:
    subprocess.run([sys.executable, "-c", OFF], check=True)


def test_without_the_package_an_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("emulator.queues.jetstream")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nats", None)
    with pytest.raises(EmulatorError) as caught:
        engine_at("nats://localhost", Bus())
    assert "the queue engine nats://localhost:4222 needs the package nats-py: install it with `" in str(caught.value)
    assert "workers-emulator[nats]" in str(caught.value)
