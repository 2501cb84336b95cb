"""Takes over the databases that `wrangler dev` has kept: an SQLite database for each, named by a hash of its id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from emulator.base.clock import WallClock
from emulator.base.words import count
from emulator.bindings.d1.config import SqlDatabase
from emulator.bindings.d1.store import SqlStores
from emulator.bindings.miniflare import object_id
from emulator.storage.database import copy_of
from emulator.storage.state import State

_OBJECTS: Final = "miniflare-D1DatabaseObject"
_TABLES: Final = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 4) <> '_cf_'"
_INTERNAL: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 4) = '_cf_'"


def take_over(directory: Path, declared: Iterable[SqlDatabase], state: State) -> Iterator[str]:
    """Copy the databases below `directory` that are declared, and say how many tables of each. Those of other projects
    keep their names to themselves: there is only a hash of them."""
    stores: SqlStores | None = None
    for settings in declared:
        path = directory / _OBJECTS / f"{object_id(_OBJECTS, settings.id)}.sqlite"
        if not path.is_file():
            continue
        with copy_of(path) as database:
            for (name,) in database.rows(_INTERNAL):
                database.change(f'DROP TABLE "{name}"')
            contents, tables = database.contents(), database.rows(_TABLES)[0][0]
        stores = stores or SqlStores(state, WallClock())
        stores.declare(settings.id, settings.name)
        stores.open(settings.id).replace(contents)
        yield f"D1 {settings.name}: {count(tables, 'table')}"
