"""Shows debuggers the user's own files in place of the modules that workerd runs."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from emulator.hosts.workerd.source import Module, Source

_CODE: Final = frozenset({"esm", "commonjs"})
_SAME_LINE: Final = ";AACA"
"""In a source map: what follows is the next line, from its beginning."""


def with_maps(source: Source) -> Source:
    """The same code, in which each module ends with a source map that names files by their addresses (`file:///...`)
    and contains what was in them."""
    return replace(source, modules=tuple(_with_map(module, source) for module in source.modules))


def _with_map(module: Module, source: Source) -> Module:
    described = _map_of(module, source) if module.kind in _CODE else None
    if described is None:
        return module
    encoded = b64encode(json.dumps(described).encode())
    comment = b"\n//# sourceMappingURL=data:application/json;base64," + encoded + b"\n"
    return replace(module, content=module.content + comment)


def _map_of(module: Module, source: Source) -> dict[str, Any] | None:
    if module.name in source.maps:
        content, base = source.maps[module.name]
        described: dict[str, Any] = json.loads(content)
        files = [Path(os.path.normpath(base / each)) for each in described["sources"]]
    elif (place := source.locate(module.name, 1, 1)) is not None:
        lines = module.content.count(b"\n")
        described, files = {"version": 3, "names": [], "mappings": "AAAA" + _SAME_LINE * lines}, [place[0]]
    else:
        return None
    foreign = [number for number, file in enumerate(files) if "node_modules" in file.parts or not file.is_file()]
    return {
        **described,
        "sources": [file.as_uri() for file in files],
        "sourcesContent": [_text(file) for file in files],
        "ignoreList": foreign,
    }


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
