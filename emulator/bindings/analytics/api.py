"""The SQL API of Analytics Engine."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, cast

from emulator.bindings.analytics.kind import KIND, OpenAnalytics
from emulator.bindings.analytics.store import AnalyticsError, QueryResult
from emulator.bindings.rest import ApiError, ApiErrorCode, Call, Download, Rest, Route, SessionView, Upload

_SQL: Final = "/accounts/{account_id}/analytics_engine/sql"
_MAX_BYTES: Final = 1_000_000
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


async def query(call: Call[SessionView], body: Upload) -> Download:
    """`POST .../sql`: the query is the body."""
    content = bytearray()
    async for piece in body.pieces:
        content += piece
        if len(content) > _MAX_BYTES:
            raise ApiError(413, ApiErrorCode.BODY_TOO_LARGE, "the query is too long")
    return _answer(call, content.decode("utf-8", "replace"))


def query_of_address(call: Call[SessionView], _body: None) -> Download:
    """`GET .../sql?query=`."""
    return _answer(call, call.query.get("query", ""))


def _answer(call: Call[SessionView], sql: str) -> Download:
    kinds = cast("OpenAnalytics", call.session.open_kinds[KIND])
    result = kinds.store.query(sql)
    if result.format == "JSON":
        return Download(json.dumps(_whole(result)).encode(), {"content-type": "application/json"})
    if result.format == "JSONEachRow":
        lines = "".join(f"{json.dumps(row)}\n" for row in result.objects())
        return Download(lines.encode(), {"content-type": "application/x-ndjson"})
    lines = "".join("\t".join(_cell(value) for value in row) + "\n" for row in result.rows)
    return Download(lines.encode(), {"content-type": "text/tab-separated-values; charset=UTF-8"})


def _whole(result: QueryResult) -> dict[str, Any]:
    meta = [
        {"name": name, "type": _type([row[index] for row in result.rows])} for index, name in enumerate(result.columns)
    ]
    return {
        "meta": meta,
        "data": result.objects(),
        "rows": len(result.rows),
        "rows_before_limit_at_least": len(result.rows),
    }


def _type(values: Sequence[Any]) -> str:
    """What a column is, as far as its values say."""
    if any(isinstance(value, float) for value in values):
        return "Float64"
    if values and all(isinstance(value, int) for value in values):
        return "Int64" if any(value < 0 for value in values) else "UInt64"
    if values and all(isinstance(value, str) and _DATE.fullmatch(value) for value in values):
        return "DateTime"
    return "String"


def _cell(value: Any) -> str:
    text = "\\N" if value is None else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") if value is not None else text


REST: Final = Rest(
    about="Analytics Engine",
    root="/accounts/ACCOUNT/analytics_engine/sql?query=SHOW%20TABLES",
    routes=(Route("POST", _SQL, query, Upload), Route("GET", _SQL, query_of_address)),
    refusals=((AnalyticsError, lambda error: ApiError(422, ApiErrorCode.INVALID_BODY, str(error))),),
)
