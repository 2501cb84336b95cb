"""Which modules import which, as their source says: also inside functions, and for annotations only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path


def module_name(file: Path, source_root: Path) -> str:
    """What a file below a source root is imported as."""
    parts = file.relative_to(source_root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(file: Path) -> Iterator[str]:
    """Everything that a file imports, as `package.module` or `package.module.name`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_graph(package: Path, source_root: Path) -> Mapping[str, set[str]]:
    """The modules of a package, each with the modules of the package that it imports."""
    files = {module_name(file, source_root): file for file in package.rglob("*.py")}
    graph = {}
    for name, file in files.items():
        imported = {each if each in files else each.rpartition(".")[0] for each in imported_names(file)}
        graph[name] = {each for each in imported if each in files and each != name}
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[str]:
    """The modules that import themselves by way of others."""

    def reaches(start: str) -> bool:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            module = waiting.pop()
            if module == start:
                return True
            if module not in seen:
                seen.add(module)
                waiting += graph[module]
        return False

    return sorted(module for module in graph if reaches(module))
