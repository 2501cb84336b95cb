"""How tests reach a D1 database: `emulator.d1("DB")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from emulator.base.errors import EmulatorError
from emulator.bindings.d1.config import KIND
from emulator.bindings.d1.database import Query
from emulator.bindings.d1.sql import OVERLOADED, D1Error
from emulator.bindings.kit import Accessor, Faulty, Kit

if TYPE_CHECKING:
    from emulator.bindings.d1.kind import OpenD1

    class D1Access:
        """The type of what `Emulator` has for D1."""

        def d1(self, name: str) -> D1:
            """A database, by the name of a binding. Raises EmulatorError, which names those there are."""
            raise NotImplementedError

    class AsyncD1Access:
        """The type of what `AsyncEmulator` has for D1."""

        def d1(self, name: str) -> AsyncD1:
            """A database, by the name of a binding. Raises EmulatorError, which names those there are."""
            raise NotImplementedError


_migrated: dict[tuple[object, ...], bytes] = {}
"""What an empty database is after migrations, by these."""


class _BaseD1(Faulty):
    """What a test can do with a database without running anything."""

    def __init__(self, kit: Kit, name: str) -> None:
        __tracebackhide__ = True
        self._kit = kit
        self.name = name
        self._open = cast("OpenD1", kit.open_kind(KIND))
        if name not in self._open.declared:
            there = ", ".join(sorted(self._open.declared)) or "none"
            raise EmulatorError(f"there is no D1 database {name!r}; the bindings are: {there}")
        self._database = self._open.database(self._open.declared[name][0].id)
        self._faults, self._target = self._open.faults, self._database.id

    def _refusal(self) -> Exception:
        return D1Error(OVERLOADED)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def _execute(self, sql: str, params: tuple[Any, ...]) -> list[dict[str, Any]]:
        __tracebackhide__ = True
        results = self._now(self._database.run([Query(sql, params)]))
        return [dict(zip(results[-1].columns, row, strict=True)) for row in results[-1].rows]

    def _tables(self) -> list[str]:
        self._kit.check_open()
        return self._database.store.tables()

    def _migrate(self) -> list[str]:
        __tracebackhide__ = True
        self._kit.check_open()
        migrations = self._open.migrations(self.name)
        store = self._database.store
        is_empty = not store.tables()
        pending = migrations.pending(store.applied(migrations.table))
        key = (migrations.table, *((each.name, each.sql) for each in pending))
        if is_empty and key in _migrated:
            store.replace(_migrated[key])
            return [each.name for each in pending]
        self._execute(migrations.prepares, ())
        for each in pending:
            try:
                self._now(self._database.run_each(migrations.applies(each)))
            except D1Error as error:
                raise EmulatorError(f"the migration {each.name} cannot be applied: {error}") from None
        if is_empty:
            _migrated[key] = store.contents()
        return [each.name for each in pending]


class D1(_BaseD1):
    """A database as a test uses it."""

    def execute(self, sql: str, *params: Any) -> list[dict[str, Any]]:
        """Execute SQL, and return the rows of its last statement, whose parameters have the values `params`. Raises
        D1Error, with the service's words."""
        __tracebackhide__ = True
        return self._execute(sql, params)

    def migrate(self) -> list[str]:
        """Apply the migrations that have not been applied, and return their names. Those of an empty database are
        applied once for all tests, and copied."""
        __tracebackhide__ = True
        return self._migrate()

    def tables(self) -> list[str]:
        """The names of the tables, in order."""
        __tracebackhide__ = True
        return self._tables()


class AsyncD1(_BaseD1):
    """A database as an async test uses it."""

    async def execute(self, sql: str, *params: Any) -> list[dict[str, Any]]:
        """Execute SQL, and return the rows of its last statement, whose parameters have the values `params`. Raises
        D1Error, with the service's words."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._execute, sql, params)

    async def migrate(self) -> list[str]:
        """Apply the migrations that have not been applied, and return their names. Those of an empty database are
        applied once for all tests, and copied."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._migrate)

    async def tables(self) -> list[str]:
        """The names of the tables, in order."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._tables)


ACCESSOR: Final = Accessor("d1", D1, AsyncD1)
