"""A D1 binding of a Python worker: `env.DB`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Final

from emulator.bindings.d1.database import Query, Result, Value
from emulator.bindings.d1.session import SqlSession
from emulator.bindings.d1.sql import D1Error
from emulator_runtime.hosting import AttributeDict, JsException, bytes_of, to_attribute_dict

_LARGEST_EXACT: Final = 2**53 - 1
"""The largest whole number that JavaScript's numbers can tell from the next one."""

_WITHOUT_BOOKMARK: Final = frozenset({"first-primary", "first-unconstrained"})


class Statement:
    """A statement, perhaps with values for its parameters."""

    __slots__ = ("_database", "params", "statement")

    def __init__(self, database: _Queries, statement: Any, params: Sequence[Value] = ()) -> None:
        self._database = database
        self.statement = statement
        self.params = params

    def bind(self, *values: Any) -> Statement:
        """The statement with values for its parameters: strings, numbers, booleans, None, and bytes."""
        return Statement(self._database, self.statement, [_bound(value) for value in values])

    async def run(self) -> AttributeDict:
        """`success`, `meta` and `results`, the rows as objects."""
        return await self.all()

    async def all(self) -> AttributeDict:
        """`success`, `meta` and `results`, the rows as objects."""
        return _shown((await self._database.ask([self]))[0])

    async def first(self, column: Any = None) -> Any:
        """The first row, or its value in one column; None if there is no row."""
        result = (await self._database.ask([self]))[0]
        if not result.rows:
            return None
        row = _objects(result)[0]
        if column is None:
            return row
        if column not in row:
            raise JsException(f"D1_COLUMN_NOTFOUND: Column not found ({column})")
        return row[column]

    async def raw(self, options: Any = None, /, *, columnNames: bool = False) -> list[list[Any]]:  # noqa: N803
        """The rows as lists; before them, if asked for, the names of the columns."""
        result = (await self._database.ask([self]))[0]
        rows = [[_number(value) for value in row] for row in result.rows]
        if columnNames or (isinstance(options, Mapping) and options.get("columnNames")):
            return [list(result.columns), *rows]
        return rows

    def __repr__(self) -> str:
        return f"<D1PreparedStatement {self.statement!r}>"


class _Queries:
    """What a database and a session of it have in common."""

    __slots__ = ("_database",)

    def __init__(self, database: SqlSession) -> None:
        self._database = database

    def prepare(self, query: Any) -> Statement:
        """A statement, whose parameters are `?`, `?1` and so on."""
        return Statement(self, query)

    async def batch(self, statements: Any) -> list[AttributeDict]:
        """The results of several statements, all in one transaction."""
        return [_shown(result) for result in await self.ask(list(statements))]

    async def ask(self, statements: Sequence[Statement]) -> list[Result]:
        """The results. Raises JsException."""
        return await self._asked(statements, "D1_ERROR: {}".format)

    async def _asked(self, statements: Sequence[Statement], words: Callable[[str], str]) -> list[Result]:
        queries = [Query(each.statement if isinstance(each.statement, str) else "", each.params) for each in statements]
        try:
            return await self._database.run(queries)
        except D1Error as error:
            raise JsException(words(str(error))) from None


class D1Binding(_Queries):
    """A database; `env.<binding>` of one worker. What the service refuses raises JsException with its words."""

    __slots__ = ("_name",)

    def __init__(self, name: str, database: SqlSession) -> None:
        super().__init__(database)
        self._name = name

    async def exec(self, query: Any) -> AttributeDict:
        """Execute SQL without parameters, each line of it for itself. Returns `count` and `duration`, in ms."""
        lines = str(query).strip().split("\n")
        results = await self._asked(
            [Statement(self, line) for line in lines], f"D1_EXEC_ERROR: Error in line 1: {lines[0]}: {{}}".format
        )
        return AttributeDict(count=len(results), duration=sum(result.meta["duration"] for result in results))

    def withSession(self, constraintOrBookmark: Any = None) -> D1Session:  # noqa: N802, N803
        """A session, whose queries see what its earlier ones have done: from `first-primary`, `first-unconstrained`,
        or the bookmark of another session on."""
        return D1Session(self._database, str(constraintOrBookmark or "").strip() or "first-unconstrained")

    async def dump(self) -> memoryview:
        """Only databases of the alpha had it."""
        raise JsException("D1_DUMP_ERROR: Status + 404")

    def __repr__(self) -> str:
        return f"<D1Database {self._name}>"


class D1Session(_Queries):
    """A session of a database."""

    __slots__ = ("_bookmark",)

    def __init__(self, database: SqlSession, bookmark: str) -> None:
        super().__init__(database)
        self._bookmark = bookmark

    def getBookmark(self) -> str | None:  # noqa: N802
        """Says up to when the session has seen the database; None before its first query."""
        return None if self._bookmark in _WITHOUT_BOOKMARK else self._bookmark

    async def ask(self, statements: Sequence[Statement]) -> list[Result]:
        results = await super().ask(statements)
        self._bookmark = max(self.getBookmark() or "", self._database.bookmark())
        return results

    def __repr__(self) -> str:
        return f"<D1DatabaseSession {self.getBookmark()}>"


def _bound(value: Any) -> Value:
    """A value as it is bound to a parameter."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        if abs(value) > _LARGEST_EXACT:
            raise _unsupported("bigint", str(value))
        return float(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, (list, tuple)):
        if all(isinstance(each, int) and 0 <= each < 256 for each in value):
            return bytes(value)
        raise _unsupported("object", ",".join(map(str, value)))
    content = bytes_of(value)
    if content is not None:
        return bytes(content)
    raise _unsupported("function", str(value)) if callable(value) else _unsupported("object", "[object Object]")


def _unsupported(kind: str, value: str) -> JsException:
    return JsException(f"D1_TYPE_ERROR: Type '{kind}' not supported for value '{value}'")


def _shown(result: Result) -> AttributeDict:
    return AttributeDict(success=True, meta=to_attribute_dict(result.meta), results=_objects(result))


def _objects(result: Result) -> list[AttributeDict]:
    columns = result.columns
    return [AttributeDict(zip(columns, map(_number, row), strict=True)) for row in result.rows]


def _number(value: Value) -> Any:
    """A value as JavaScript hands it on, whose numbers are floats; bytes are lists of numbers."""
    if isinstance(value, float):
        if not isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) <= _LARGEST_EXACT else value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_EXACT else int(float(value))
    return list(value) if isinstance(value, bytes) else value
