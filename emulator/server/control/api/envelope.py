"""The envelope of every answer: `{success, errors, messages, result, result_info}`."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response, StreamingResponse

from emulator.bindings.rest import ApiError, CursorPage, Download, Page
from emulator.wire.texts import write_json


def success(result: object) -> Response:
    """The answer to a call that succeeded. A `Page` becomes a list and its `result_info`. A `Download` has no
    envelope."""
    if isinstance(result, Download):
        if isinstance(result.content, bytes):
            return Response(result.content, result.status, result.headers)
        return StreamingResponse(result.content, result.status, result.headers)
    envelope: dict[str, Any] = {"success": True, "errors": [], "messages": [], "result": result}
    if isinstance(result, Page):
        envelope["result"] = result.items
        envelope["result_info"] = {
            "page": result.page,
            "per_page": result.per_page,
            "count": len(result.items),
            "total_count": result.total_count,
            "total_pages": -(-result.total_count // result.per_page),
        }
    if isinstance(result, CursorPage):
        envelope["result"] = result.items
        envelope["result_info"] = {"count": len(result.items), "cursor": result.cursor, **result.more}
    return Response(write_json(envelope), media_type="application/json")


def failure(error: ApiError) -> Response:
    """The answer to a call that was refused. The SDKs are told not to retry, because the answer would be the same."""
    errors = [{"code": int(error.code), "message": error.message}]
    envelope = {"success": False, "errors": errors, "messages": [], "result": None}
    headers = {} if error.status == 429 else {"x-should-retry": "false"}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(write_json(envelope), error.status, headers, "application/json")
