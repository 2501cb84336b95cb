"""The page about the worker API has every name. Its code is run by tests/docs."""

from __future__ import annotations

from pathlib import Path

from emulator_runtime import js

PAGE = (Path(__file__).parents[2] / "docs" / "worker-api.md").read_text(encoding="utf-8")


def test_the_page_names_everything_that_js_has() -> None:
    for name in (*js.__all__, *js._RARE):
        assert f"`{name}`" in PAGE
