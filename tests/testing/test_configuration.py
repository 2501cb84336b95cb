"""The configuration of a worker that a test gives in code."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from emulator.config.model import WorkerConfig
from emulator.testing import Emulator
from emulator.testing.configuration import from_code

PYTHON = "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n    def fetch(self): ...\n"


def configured(main: str, **settings: Any) -> WorkerConfig:
    with ExitStack() as cleanup:
        read = from_code(main, name="shop", queues=None, variables={}, secrets={}, settings=settings, cleanup=cleanup)
        [config] = read()
        return config


def test_a_python_worker_has_the_flag_that_it_needs_and_no_warning() -> None:
    config = configured(PYTHON)
    assert (config.compatibility_flags, config.warnings) == (frozenset({"python_workers"}), ())


def test_flags_are_added_to_the_one_that_a_python_worker_needs() -> None:
    config = configured(PYTHON, compatibility_flags=["enable_request_signal"])
    assert (config.compatibility_flags, config.warnings) == (frozenset({"python_workers", "enable_request_signal"}), ())


def test_a_javascript_worker_has_no_flags(tmp_path: Path) -> None:
    (tmp_path / "index.js").write_text("export default {};")
    assert configured(str(tmp_path / "index.js")).compatibility_flags == frozenset()


def test_a_worker_in_code_imports_from_python_modules_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python_modules").mkdir()
    (tmp_path / "python_modules/vendored.py").write_text("NAME = 'vendored'")
    code = "from workers import Response, WorkerEntrypoint\nimport vendored\nclass Default(WorkerEntrypoint):\n"
    (tmp_path / "entry.py").write_text(f"{code}    def fetch(self):\n        return Response(vendored.NAME)\n")
    monkeypatch.chdir(tmp_path)
    assert configured("entry.py").warnings == ()
    with Emulator(main="entry.py") as emulator:
        assert emulator.get("/").text == "vendored"
