"""`emulator_runtime.hosting` is the only way into the runtime for the emulator, and costs what is asked of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from emulator_runtime import hosting
from tests.support.imports import circles, import_graph, imported_names

ROOT = Path(__file__).parents[2]
EMULATOR = sorted((ROOT / "emulator").rglob("*.py"))


@pytest.mark.parametrize("file", EMULATOR, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_emulator_imports_the_runtime_through_its_door_alone(file: Path) -> None:
    for name in imported_names(file):
        if name.partition(".")[0] == "emulator_runtime" and name != "emulator_runtime":  # itself: where its files are
            assert name.startswith("emulator_runtime.hosting"), f"{file.name} imports {name}"


def test_every_name_of_the_door_can_be_had() -> None:
    for name in hosting.__all__:
        assert getattr(hosting, name) is not None


def test_the_lists_of_the_door_agree() -> None:
    assert hosting.__file__ is not None
    declared = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(Path(hosting.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("emulator_runtime")
        for alias in node.names
    }
    listed = {f"emulator_runtime.{module}.{name}" for module, names in hosting._HOMES.items() for name in names}
    assert declared == listed
    assert sorted(hosting.__all__) == sorted(name.rpartition(".")[2] for name in listed)


def test_an_unknown_name_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match=r"'emulator_runtime\.hosting' has no attribute 'Nothing'"):
        _ = hosting.Nothing


def test_a_value_is_had_without_what_a_worker_sees() -> None:
    code = (
        "import sys\nfrom emulator_runtime.hosting import AttributeDict\n"
        "print(sorted(name for name in sys.modules if name.startswith('emulator_runtime.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['emulator_runtime.hosting', 'emulator_runtime.values']"


def test_no_module_of_the_runtime_imports_itself_by_way_of_others() -> None:
    assert circles(import_graph(ROOT / "runtime" / "emulator_runtime", ROOT / "runtime")) == []
