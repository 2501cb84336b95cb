"""The runtime is the standard library's alone, and knows nothing of the rest of the emulator."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

RUNTIME = Path(__file__).parents[2] / "runtime" / "emulator_runtime"
MODULES = sorted(RUNTIME.rglob("*.py"))


def imported_modules(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


@pytest.mark.parametrize("source", MODULES, ids=lambda path: str(path.relative_to(RUNTIME)))
def test_a_module_of_the_runtime_imports_the_standard_library_and_the_runtime_alone(source: Path) -> None:
    for name in imported_modules(source):
        top = name.partition(".")[0]
        assert top == "emulator_runtime" or top in sys.stdlib_module_names, f"{source.name} imports {name}"


def test_the_runtime_has_modules_to_check() -> None:
    assert len(MODULES) > 20


def test_what_a_request_needs_does_not_import_what_is_slow_to_import() -> None:
    import subprocess

    code = (
        "import sys, emulator_runtime.http\n"
        "print([name for name in ('email', 'http.client', 'httpx', 'starlette', 'uuid') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
