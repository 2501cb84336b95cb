"""The code on the page about the worker API is real: it runs, with the names of the runtime."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from emulator_runtime import js, pyodide, workers
from emulator_runtime.pyodide import ffi
from emulator_runtime.workers import asgi

PAGE = (Path(__file__).parents[2] / "docs" / "worker-api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("source", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_can_be_imported(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"workers": workers, "js": js, "pyodide": pyodide, "pyodide.ffi": ffi, "asgi": asgi}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(source, "worker-api.md", "exec"), {"__name__": "worker"})


def test_the_page_names_everything_that_js_has() -> None:
    for name in (*js.__all__, *js._RARE):
        assert f"`{name}`" in PAGE
