from __future__ import annotations

from pathlib import Path

from tests.support.imports import circles, import_graph

ROOT = Path(__file__).parents[2]


def test_no_module_of_the_server_imports_itself_by_way_of_others() -> None:
    assert circles(import_graph(ROOT / "emulator" / "server", ROOT)) == []
