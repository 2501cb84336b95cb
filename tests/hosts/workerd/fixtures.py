"""The fixtures of tests with JavaScript workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.workerd.support import Workers
from tests.support.node_tools import WORKERD


@pytest.fixture
def workerd(javascript: None) -> str:
    """The path of workerd, which EMULATOR_WORKERD names too."""
    return str(WORKERD)


@pytest.fixture
def workers(tmp_path: Path, workerd: str) -> Workers:
    """A session that a test writes the workers of."""
    return Workers(tmp_path)
