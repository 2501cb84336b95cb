"""The fixtures of tests with JavaScript workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from workerd_support import INSTALLED, Workers


@pytest.fixture
def workerd(monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of workerd, which EMULATOR_WORKERD names too."""
    if not os.environ.get("EMULATOR_WORKERD"):
        monkeypatch.setenv("EMULATOR_WORKERD", str(INSTALLED[0]))
    return os.environ["EMULATOR_WORKERD"]


@pytest.fixture
def workers(tmp_path: Path, workerd: str) -> Workers:
    """A session that a test writes the workers of."""
    return Workers(tmp_path)
