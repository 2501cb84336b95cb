"""The short form of the trial with an object that no process may hold in memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.trials.large import MB, run


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is only told by Linux")
def test_a_large_object_passes_through_without_filling_memory(tmp_path: Path) -> None:
    report = run(tmp_path, 100 * MB)
    assert report.is_good, str(report)
