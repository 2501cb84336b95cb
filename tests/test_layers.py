"""Which module imports which: the one-way rule of docs/architecture.md, read from that page and held here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOOR = "emulator_runtime.hosting"
"""The one module of the runtime that the emulator may import."""


class Import(NamedTuple):
    """`module` imports `imported`. `is_early` says that it does so when it is imported itself."""

    module: str
    imported: str
    is_early: bool

    def __str__(self) -> str:
        return f"{self.module} -> {self.imported}"


def modules_below(directory: Path) -> dict[str, Path]:
    """Every module of a package by its name; a package is named as it is, without `__init__`."""
    return {
        ".".join(path.relative_to(directory.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(directory.rglob("*.py"))
    }


def statements(body: list[ast.stmt], *, is_early: bool = True) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements in `body`, however deep."""
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement, is_early
            continue
        is_function = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        is_for_types = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
        for field, inner in ast.iter_fields(statement):
            is_later = is_function or (is_for_types and field == "body")
            nested = [part for part in inner if isinstance(part, ast.AST)] if isinstance(inner, list) else []
            bodies = [part for part in nested if isinstance(part, ast.stmt)]
            bodies += [step for part in nested if hasattr(part, "body") and part not in bodies for step in part.body]
            yield from statements(bodies, is_early=is_early and not is_later)


def imports_of(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    """What one module imports of the modules in `known`."""
    for statement, is_early in statements(ast.parse(path.read_text()).body):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name in known:
                    yield Import(name, alias.name, is_early)
            continue
        assert statement.level == 0, f"{name} has a relative import"
        for alias in statement.names:
            inner = f"{statement.module}.{alias.name}"
            imported = inner if inner in known else statement.module
            if imported is not None and imported in known:
                yield Import(name, imported, is_early)


MODULES = modules_below(ROOT / "emulator")
RUNTIME = modules_below(ROOT / "runtime/emulator_runtime")


@cache
def all_imports() -> list[Import]:
    """What the modules of the emulator import of each other and of the runtime."""
    return [found for name, path in MODULES.items() for found in imports_of(name, path, MODULES | RUNTIME)]


def room(module: str) -> str:
    """The room that a module is in; empty for the package itself and `__main__`, which stand above all rooms."""
    _, _, rest = module.partition(".")
    return "" if rest.startswith("__") else rest.partition(".")[0]


def levels() -> list[set[str]]:
    """The rooms from the highest to the lowest, as the page has them."""
    page = (ROOT / "docs/architecture.md").read_text()
    match = re.search(r"`cli`[^.]*?->[^.]*", page)
    assert match is not None
    return [set(re.findall(r"`(\w+)`", level)) for level in match.group().split("->")]


def circles(imports: list[Import]) -> Iterator[frozenset[str]]:
    """Groups of modules each of which leads to every other one of its group."""
    after: dict[str, set[str]] = {}
    for found in imports:
        if found.is_early:
            after.setdefault(found.module, set()).add(found.imported)

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for following in after.get(waiting.pop(), set()) - seen:
                seen.add(following)
                waiting.append(following)
        return seen

    reached = {name: reach(name) for name in after}
    yield from {
        frozenset(other for other in reached if name in reached[other] and other in reached[name])
        for name in reached
        if name in reached[name]
    }


def test_the_page_names_every_room_once() -> None:
    named = [name for level in levels() for name in level]
    assert len(named) == len(set(named))
    assert set(named) == {room(module) for module in MODULES} - {""}


def test_imports_go_one_way() -> None:
    depth = {name: number for number, level in enumerate(levels()) for name in level}
    upwards = {
        str(found)
        for found in all_imports()
        if found.imported in MODULES
        and (source := room(found.module))
        and source != (target := room(found.imported))
        and (not target or depth[target] <= depth[source])
    }
    assert upwards == set()


def test_the_runtime_is_imported_through_its_door_alone() -> None:
    past = {found.module for found in all_imports() if found.imported in RUNTIME and found.imported != DOOR}
    assert past == set()


def test_no_modules_import_each_other() -> None:
    assert {" ".join(sorted(group)) for group in circles(all_imports())} == set()


def test_no_modules_of_the_runtime_import_each_other() -> None:
    imports = [found for name, path in RUNTIME.items() for found in imports_of(name, path, RUNTIME)]
    assert {" ".join(sorted(group)) for group in circles(imports)} == set()


def test_an_import_anywhere_in_a_module_is_found(tmp_path: Path) -> None:
    path = tmp_path / "here.py"
    path.write_text("""
import a
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from a import b
else:
    from a import c
try:
    import d
except ImportError:
    import e
class Here:
    import f
    def method(self):
        with self:
            import g.h
match 1:
    case 1:
        import i
""")
    known = dict.fromkeys(["a", "a.b", "a.c", "d", "e", "f", "g.h", "i"], path)
    found = {(one.imported, one.is_early) for one in imports_of("here", path, known)}
    early = {"a", "a.c", "d", "e", "f", "i"}
    assert found == {(name, name in early) for name in known}


def test_a_circle_is_found_and_names_its_modules_alone() -> None:
    chain = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("e", "e")]
    imports = [Import(module, imported, is_early=True) for module, imported in chain]
    assert set(circles(imports)) == {frozenset({"b", "c"}), frozenset({"e"})}
    assert not set(circles([one._replace(is_early=False) for one in imports]))
