"""D1, as a binding kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulator.base.words import count
from emulator.bindings.d1 import config
from emulator.bindings.d1.config import SqlDatabase
from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config.model import WorkerConfig
from emulator.config.section import Section

if TYPE_CHECKING:
    from emulator.bindings.d1.migrations import Migrations
    from emulator.bindings.d1.session import SqlSession
    from emulator.bindings.d1.store import SqlStores
    from emulator.bindings.kit import Accessor
    from emulator.bindings.panel import Panel
    from emulator.bindings.rest import Rest
    from emulator.bindings.use import Faults
    from emulator.bindings.wiring import Wiring
    from emulator.storage.state import State


class D1Kind(BindingKind[SqlDatabase]):
    """`d1_databases`."""

    name = config.KIND
    keys = config.KEYS
    declared_as = ("a D1 database", 'under "d1_databases"')
    documentation = (
        "[D1](d1.md)",
        "`d1_databases[]`",
        "`prepare`, `batch`, `exec`, `withSession`",
        "`prepare`, `batch`, `exec`, `withSession`",
    )

    def read(self, section: Section) -> None:
        """Read the valid databases."""
        config.read_databases(section)

    def open(self, resources: Resources) -> OpenD1:
        """Open the session's databases."""
        return OpenD1(resources)

    def describe(self, worker: WorkerConfig, settings: SqlDatabase) -> str:
        """The database."""
        return f"D1 {settings.name}"

    def binding_record(self, settings: SqlDatabase) -> Mapping[str, object]:
        """The id and the name of the database."""
        return {"id": settings.id, "database": settings.name}

    def python_type(self, settings: SqlDatabase) -> str:
        """The class in `python_stub`."""
        return "D1Database"

    def typescript_type(self, settings: SqlDatabase) -> str:
        """workerd's own."""
        return "D1Database"

    def take_over(self, wrangler: Path, workers: Sequence[WorkerConfig], state: State) -> Iterable[str]:
        """The databases of Miniflare."""
        from emulator.bindings.d1.miniflare import take_over

        declared = [settings for worker in workers for settings in self.bindings(worker).values()]
        return take_over(wrangler / "d1", declared, state)

    def rest(self) -> Rest:
        """The calls about databases."""
        from emulator.bindings.d1.api import REST

        return REST

    def panel(self) -> Panel:
        """What the stores hold."""
        from emulator.bindings.d1.panel import PANEL

        return PANEL

    def accessor(self) -> Accessor:
        """`emulator.d1("DB")`."""
        from emulator.bindings.d1.testing import ACCESSOR

        return ACCESSOR


class OpenD1(OpenKind[SqlDatabase]):
    """The databases of a session. `declared` are those that bindings lead to, by the names of these, each with the
    directory of its configuration."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.declared: dict[str, tuple[SqlDatabase, Path]] = {}
        self.uploads: dict[tuple[str, str], bytes] = {}
        """SQL that is to be imported, by the ids of databases and the names of files."""

    @cached_property
    def stores(self) -> SqlStores:
        """All databases. Opened when the first worker has one."""
        from emulator.bindings.d1.store import SqlStores

        return SqlStores(self._resources.state, self._resources.clock)

    @cached_property
    def faults(self) -> Faults:
        """The errors that tests want, by the ids of databases."""
        from emulator.bindings.use import Faults

        return Faults()

    def bindings_of(self, identifier: str) -> list[str]:
        """The names of the bindings that lead to a database."""
        return sorted(name for name, (settings, _) in self.declared.items() if settings.id == identifier)

    def migrations(self, binding: str) -> Migrations:
        """The migrations of the database that a binding leads to."""
        from emulator.bindings.d1.migrations import migrations_of

        settings, directory = self.declared[binding]
        return migrations_of(directory, settings.migrations_dir, settings.migrations_pattern, settings.migrations_table)

    def database(self, identifier: str, *, worker: str = "", name: str = "") -> SqlSession:
        """A database, for a binding of a worker or for somebody else."""
        from emulator.bindings.d1.session import SqlSession
        from emulator.bindings.use import Use

        use = Use(self._resources, self.faults, config.KIND, identifier, worker=worker, name=name)
        return SqlSession(self.stores, identifier, use)

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, SqlDatabase]) -> Mapping[str, object]:
        from emulator.bindings.d1.python import D1Binding

        return {name: D1Binding(name, database) for name, database in self._bound(worker, bindings)}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, SqlDatabase]) -> Iterable[Wiring]:
        if not bindings:
            return ()
        from emulator.bindings.d1.workerd import wire

        return wire(self._bound(worker, bindings))

    def _bound(self, worker: WorkerConfig, bindings: Mapping[str, SqlDatabase]) -> list[tuple[str, SqlSession]]:
        directory = worker.path.resolve().parent
        for name, settings in bindings.items():
            is_new = name not in self.declared
            self.declared[name] = (settings, directory)
            self.stores.declare(settings.id, settings.name)
            if is_new and self._resources.state.directory is not None:
                self._tell_of_migrations(worker, name)
        return [
            (name, self.database(settings.id, worker=worker.name, name=name)) for name, settings in bindings.items()
        ]

    def _tell_of_migrations(self, worker: WorkerConfig, name: str) -> None:
        """Warn of migrations that have not been applied."""
        migrations = self.migrations(name)
        if not migrations.directory.is_dir():
            return
        store = self.stores.open(self.declared[name][0].id)
        pending = migrations.pending(store.applied(migrations.table))
        if pending:
            what = f"{count(len(pending), 'migration')} of {name} {'has' if len(pending) == 1 else 'have'}"
            text = f"{what} not been applied; `emulator d1 migrations apply {name}` does it"
            self._resources.warn(worker.name, text)


D1: Final = D1Kind()
