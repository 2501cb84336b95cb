"""Answers the D1 bindings of JavaScript workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

import msgspec

from emulator.bindings.d1.database import Query, from_json
from emulator.bindings.d1.session import SqlSession
from emulator.bindings.d1.sql import NOTHING, D1Error
from emulator.bindings.wiring import Answered, Reference, WireRequest, WireResponse, Wiring

_MODULE: Final = "cloudflare-internal:d1-api"
_TOKEN: Final = b"x-cf-d1-session-commit-token"
_JSON: Final = (b"Content-Type", b"application/json")
_NOT_FOUND: Final = WireResponse(b'{"error":"Not found"}', status=404, reason=b"Not Found")


class _Asked(msgspec.Struct):
    sql: str
    params: list[float | int | str | list[int] | None] | None = None


_read: Final = msgspec.json.Decoder(_Asked | list[_Asked]).decode


def wire(databases: Iterable[tuple[str, SqlSession]]) -> Iterator[Wiring]:
    """The D1 bindings of a worker, by their names."""
    for name, database in databases:
        inner = [{"name": "fetcher", "service": Reference()}]
        yield Wiring(
            name,
            {"wrapped": {"moduleName": _MODULE, "innerBindings": inner}},
            {"": Answered(partial(answer, database))},
        )


async def answer(database: SqlSession, request: WireRequest) -> WireResponse:
    """The answer to a request of a binding."""
    path, _, query = request.target.partition("?")
    if request.method != b"POST" or path not in {"/query", "/execute"}:
        return _NOT_FOUND
    try:
        asked = _read(request.body)
        queries = asked if isinstance(asked, list) else [asked]
        results = await database.run([Query(each.sql, from_json(each.params)) for each in queries], path[1:])
    except msgspec.ValidationError:
        return _refused(NOTHING)
    except D1Error as error:
        return _refused(str(error))
    raw = "ROWS_AND_COLUMNS" in query
    content = msgspec.json.encode(
        [
            {"success": True, "results": result.raw() if raw else result.objects(), "meta": result.meta}
            for result in results
        ]
    )
    headers = [_JSON]
    if request.headers.get(_TOKEN, b"").strip():
        headers.append((_TOKEN, database.bookmark().encode()))
    return WireResponse(content, headers=headers)


def _refused(error: str) -> WireResponse:
    return WireResponse(msgspec.json.encode({"success": False, "error": error}), headers=(_JSON,))
