"""Cloudflare's REST API for D1: what wrangler and the official SDKs talk to.

A database exists once a configuration names it, or somebody has made it. It is addressed by its id, its name, or the
name of a binding.
"""

from __future__ import annotations

from hashlib import md5
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

import msgspec

from emulator.bindings.d1.config import KIND
from emulator.bindings.d1.database import Query, Result, from_json
from emulator.bindings.d1.kind import OpenD1
from emulator.bindings.d1.session import SqlSession
from emulator.bindings.d1.sql import D1Error
from emulator.bindings.d1.store import KnownDatabase
from emulator.bindings.rest import ApiError, ApiErrorCode, Call, Download, Page, Rest, Route, Upload, iso
from emulator.bindings.rest import SessionView as View

_DATABASES: Final = "/accounts/{account_id}/d1/database"
_DATABASE: Final = f"{_DATABASES}/{{database_id}}"

DATABASE_NOT_FOUND: Final = 7404
NAME_TAKEN: Final = 7502
QUERY_FAILED: Final = 7500

_UNLIMITED: Final = float("inf")


class NewDatabase(msgspec.Struct):
    """The body that makes a database."""

    name: str


class SqlQuery(msgspec.Struct):
    """What a query asks: statements, with values for the parameters of the last one; or several of these."""

    sql: str | None = None
    params: list[float | int | str | bool | list[int] | None] | None = None
    batch: list[SqlQuery] | None = None


class ExportOptions(msgspec.Struct):
    """What an export contains."""

    no_schema: bool = False
    no_data: bool = False
    tables: list[str] = []


class Export(msgspec.Struct):
    """The body that asks for an export."""

    output_format: str = "polling"
    dump_options: ExportOptions | None = None
    current_bookmark: str | None = None


class Import(msgspec.Struct):
    """The body of each step of an import: `init`, then, after the upload, `ingest`."""

    action: str
    etag: str = ""
    filename: str = ""
    current_bookmark: str | None = None


def _open(call: Call[View]) -> OpenD1:
    return cast("OpenD1", call.session.open_kinds[KIND])


def _entry(call: Call[View]) -> KnownDatabase:
    given = call.path["database_id"]
    opened = _open(call)
    for entry in opened.stores.entries():
        if given in {entry.id, entry.name, *opened.bindings_of(entry.id)}:
            return entry
    text = f"The database {given} could not be found: it is neither declared nor was it made here"
    raise ApiError(404, DATABASE_NOT_FOUND, text)


def _session(call: Call[View]) -> SqlSession:
    return _open(call).database(_entry(call).id)


def _shape(call: Call[View], entry: KnownDatabase) -> dict[str, Any]:
    """What the API says of a database; `bindings` and `migrations` are the emulator's own."""
    opened = _open(call)
    bindings = opened.bindings_of(entry.id)
    migrations = None if not bindings else opened.migrations(bindings[0])
    return {
        "uuid": entry.id,
        "name": entry.name,
        "version": "production",
        "created_at": iso(entry.created),
        "file_size": opened.stores.open(entry.id).size(),
        "num_tables": len(opened.stores.open(entry.id).tables()),
        "read_replication": {"mode": "disabled"},
        "bindings": bindings,
        "migrations": None
        if migrations is None
        else {"directory": str(migrations.directory), "pattern": migrations.pattern, "table": migrations.table},
    }


def list_databases(call: Call[View], _body: None) -> Page:
    """`GET .../database?name=`."""
    name = call.query.get("name")
    found = [entry for entry in _open(call).stores.entries() if name in {None, "", entry.name}]
    shown, page = call.page(found)
    return msgspec.structs.replace(page, items=[_shape(call, entry) for entry in shown])


def create_database(call: Call[View], body: NewDatabase) -> dict[str, Any]:
    """`POST .../database`."""
    stores = _open(call).stores
    if any(entry.name == body.name for entry in stores.entries()):
        raise ApiError(400, NAME_TAKEN, f"A database with the name {body.name!r} exists already")
    entry = stores.create(body.name)
    call.report(f"D1 database {entry.name} created")
    return _shape(call, entry)


def get_database(call: Call[View], _body: None) -> dict[str, Any]:
    """`GET .../database/{id}`."""
    return _shape(call, _entry(call))


def delete_database(call: Call[View], _body: None) -> None:
    """`DELETE .../database/{id}`. One that a configuration names stays, empty."""
    entry = _entry(call)
    _open(call).stores.remove(entry)
    call.report(f"D1 database {entry.name} deleted")


async def query(call: Call[View], body: SqlQuery) -> list[dict[str, Any]]:
    """`POST .../query`: the results of each statement, with rows as objects."""
    return [{"results": result.objects(), "success": True, "meta": result.meta} for result in await _run(call, body)]


async def raw(call: Call[View], body: SqlQuery) -> list[dict[str, Any]]:
    """`POST .../raw`: the results of each statement, with rows as lists."""
    return [{"results": result.raw(), "success": True, "meta": result.meta} for result in await _run(call, body)]


async def _run(call: Call[View], body: SqlQuery) -> list[Result]:
    session = _session(call)
    if body.batch is not None:
        return await session.run([Query(each.sql or "", from_json(each.params)) for each in body.batch], "batch")
    if body.sql is None:
        raise ApiError(400, ApiErrorCode.INVALID_BODY, "the body has neither `sql` nor `batch`")
    if body.params:
        return await session.run([Query(body.sql, from_json(body.params))])
    return await session.run_each(body.sql)


def export(call: Call[View], body: Export) -> dict[str, Any]:
    """`POST .../export`: where the SQL can be had, which is made when it is fetched."""
    entry, asked = _entry(call), body.dump_options or ExportOptions()
    options = {"no_schema": str(int(asked.no_schema)), "no_data": str(int(asked.no_data))}
    given = urlencode([*options.items(), *(("table", table) for table in asked.tables)])
    filename = f"{quote(entry.name, safe='')}.sql"
    address = f"{_address(call)}/export/{filename}?{given}"
    result = {"filename": filename, "signed_url": address}
    return {**_progress(call, "export"), "status": "complete", "result": result}


async def download(call: Call[View], _body: None) -> Download:
    """`GET .../export/{file}`: the SQL."""
    given = call.query
    lines = await _session(call).export(
        schema=given.get("no_schema") != "1", data=given.get("no_data") != "1", tables=given.getlist("table")
    )
    return Download("".join(f"{line}\n" for line in lines).encode(), {"content-type": "application/sql"})


async def import_(call: Call[View], body: Import) -> dict[str, Any]:
    """`POST .../import`: says where the SQL is to be put, and later executes it, all or nothing."""
    progress = _progress(call, "import")
    if body.action == "init":
        filename = f"{body.etag or 'import'}.sql"
        address = f"{_address(call)}/import/{quote(filename, safe='')}"
        return {**progress, "filename": filename, "upload_url": address}
    content = _open(call).uploads.pop((_entry(call).id, body.filename), None)
    if body.action != "ingest" or content is None:
        text = f"there is no import to go on with: action {body.action!r}, file {body.filename!r}"
        raise ApiError(400, ApiErrorCode.INVALID_BODY, text)
    try:
        results = await _session(call).run_each(content.decode("utf-8", "replace"), _UNLIMITED)
    except D1Error as error:
        return {**progress, "success": False, "status": "error", "error": str(error), "errors": [str(error)]}
    meta = {
        **(results[-1].meta if results else {}),
        **{name: sum(each.meta[name] for each in results) for name in ("duration", "rows_read", "rows_written")},
    }
    bookmark = progress["at_bookmark"]
    result = {"num_queries": len(results), "final_bookmark": bookmark, "meta": meta}
    return {**progress, "status": "complete", "result": result}


async def upload(call: Call[View], body: Upload) -> Download:
    """`PUT .../import/{file}`: the SQL."""
    content = b"".join([piece async for piece in body.pieces])
    _open(call).uploads[_entry(call).id, call.path["file"]] = content
    return Download(b"", {"etag": f'"{md5(content, usedforsecurity=False).hexdigest()}"'})


def _progress(call: Call[View], kind: str) -> dict[str, Any]:
    return {"success": True, "type": kind, "at_bookmark": _open(call).stores.bookmark(), "messages": []}


def _address(call: Call[View]) -> str:
    account, identifier = quote(call.path["account_id"], safe=""), quote(_entry(call).id, safe="")
    return f"{call.root}/accounts/{account}/d1/database/{identifier}"


REST: Final = Rest(
    about="D1",
    root="/accounts/ACCOUNT/d1/database",
    routes=(
        Route("GET", _DATABASES, list_databases),
        Route("POST", _DATABASES, create_database, NewDatabase),
        Route("GET", _DATABASE, get_database),
        Route("DELETE", _DATABASE, delete_database),
        Route("POST", f"{_DATABASE}/query", query, SqlQuery),
        Route("POST", f"{_DATABASE}/raw", raw, SqlQuery),
        Route("POST", f"{_DATABASE}/export", export, Export),
        Route("GET", f"{_DATABASE}/export/{{file}}", download),
        Route("POST", f"{_DATABASE}/import", import_, Import),
        Route("PUT", f"{_DATABASE}/import/{{file}}", upload, Upload),
    ),
    refusals=((D1Error, lambda error: ApiError(400, QUERY_FAILED, str(error))),),
)
