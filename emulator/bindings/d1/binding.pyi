import builtins
from collections.abc import Iterable
from typing import Any

from emulator_runtime.values import AttributeDict

class D1Meta(AttributeDict):
    """What there is to say of a result. `duration` is in milliseconds, `size_after` in bytes."""

    served_by: str
    served_by_primary: bool
    duration: float
    changes: int
    last_row_id: int
    changed_db: bool
    size_after: int
    rows_read: int
    rows_written: int
    total_attempts: int

class D1Result(AttributeDict):
    """The rows of a statement, each an object."""

    success: bool
    meta: D1Meta
    results: list[Any]

class D1ExecResult(AttributeDict):
    """How many statements `exec` has executed, and how long that took, in milliseconds."""

    count: int
    duration: float

class D1PreparedStatement:
    """A statement, perhaps with values for its parameters."""

    def bind(self, *values: str | float | bool | bytes | builtins.list[int] | None) -> D1PreparedStatement:
        """The statement with values for its parameters."""

    async def run(self) -> D1Result:
        """Execute it."""

    async def all(self) -> D1Result:
        """All rows."""

    async def first(self, column: str | None = None, /) -> Any:
        """The first row, or its value in one column; None if there is no row."""

    async def raw(self, *, columnNames: bool = ...) -> builtins.list[builtins.list[Any]]:
        """The rows as lists; before them, if asked for, the names of the columns."""

class D1DatabaseSession:
    """A session, whose queries see what its earlier ones have done."""

    def prepare(self, query: str, /) -> D1PreparedStatement:
        """A statement, whose parameters are `?`, `?1` and so on."""

    async def batch(self, statements: Iterable[D1PreparedStatement], /) -> list[D1Result]:
        """The results of several statements, all in one transaction."""

    def getBookmark(self) -> str | None:
        """Says up to when the session has seen the database; None before its first query."""

class D1Database:
    """A D1 database."""

    def prepare(self, query: str, /) -> D1PreparedStatement:
        """A statement, whose parameters are `?`, `?1` and so on."""

    async def batch(self, statements: Iterable[D1PreparedStatement], /) -> list[D1Result]:
        """The results of several statements, all in one transaction."""

    async def exec(self, query: str, /) -> D1ExecResult:
        """Execute SQL without parameters, each line of it for itself."""

    def withSession(self, constraintOrBookmark: str | None = None, /) -> D1DatabaseSession:
        """A session, from `first-primary`, `first-unconstrained` or the bookmark of another one on."""
