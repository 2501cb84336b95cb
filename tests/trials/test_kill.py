"""The short form of the trial that kills the program: four kills for each language."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.node_tools import needs_node
from tests.trials.kill import Language, run


@pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=needs_node)])
def test_nothing_is_lost_and_nothing_settled_comes_back(
    tmp_path: Path, language: Language, request: pytest.FixtureRequest
) -> None:
    if language == "javascript":
        request.getfixturevalue("javascript")
    report = run(tmp_path, language, rounds=4, seed=11)
    assert report.is_good, str(report)
    assert report.accepted > 20
