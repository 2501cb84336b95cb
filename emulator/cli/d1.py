"""`emulator d1`: looks into D1 databases, and changes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import click

from emulator.base.errors import EmulatorError
from emulator.base.words import count, shown_path
from emulator.bindings.d1.migrations import Migration, Migrations, next_name
from emulator.cli.data import ACCOUNT, DataClient, data
from emulator.cli.options import session_options
from emulator.cli.rest import RestError
from emulator.cli.tables import print_json, print_table

_DATABASES = "/d1/database"
_MOST = 1_000
_MAX_CELL = 60

F = TypeVar("F", bound=Callable[..., Any])

_database = click.argument("database")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(short_help="Look into D1 databases, change and migrate them.")
def d1() -> None:
    """Look into the D1 databases of a running emulator, or of the project in this directory if none runs it, change and
    migrate them. DATABASE is the name of a binding, the database's own name, or an id.

    \b
    Examples:
      emulator d1 list                                        the databases
      emulator d1 execute DB "SELECT * FROM users LIMIT 5"    the rows of a query
      emulator d1 execute DB --file seed.sql                  a file of SQL, all or nothing
      emulator d1 migrations apply DB                         what is new in migrations/
      emulator d1 export DB --output db.sql                   the SQL that makes a copy
    """


@d1.command("list", short_help="List the databases.")
@_as_json
@session_options
def list_(*, as_json: bool, url: str | None, token: str | None) -> None:
    """List the databases, with how many tables they have and how large they are.

    \b
    Examples:
      emulator d1 list
      emulator d1 list --json
    """
    with data(url, token) as client:
        found = _list(client)
    if as_json:
        print_json(found)
        return
    rows = [
        [
            ", ".join(each["bindings"]) or "-",
            each["name"],
            str(each["num_tables"]),
            f"{each['file_size']:,}",
            each["uuid"],
        ]
        for each in found
    ]
    print_table(["BINDING", "NAME", "TABLES", "BYTES", "ID"], rows)


@d1.command(short_help="Execute SQL.")
@_database
@click.argument("sql", required=False)
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The file with the SQL; all or nothing.",
)
@click.option("--param", "params", metavar="VALUE", multiple=True, help="A parameter's value. Repeat it for more.")
@_as_json
@session_options
def execute(
    database: str,
    sql: str | None,
    *,
    file: Path | None,
    params: tuple[str, ...],
    as_json: bool,
    url: str | None,
    token: str | None,
) -> None:
    """Execute SQL, or the content of a file, in one transaction, and print the rows of each statement. If SQL is -, it
    is read from standard input.

    \b
    Examples:
      emulator d1 execute DB "SELECT * FROM users"
      emulator d1 execute DB "SELECT * FROM users WHERE name = ?" --param Ada --json
      emulator d1 execute DB --file seed.sql
    """
    if (sql is None) == (file is None):
        raise click.UsageError("Give SQL, or --file FILE.")
    with data(url, token) as client:
        address = _address(_named(client, database))
        if file is not None:
            _import(client, address, file, as_json=as_json)
            return
        text = sys.stdin.read() if sql == "-" else sql
        results = client.ask_for("POST", f"{address}/query", {"sql": text, "params": list(params)})
    if as_json:
        print_json(results)
        return
    for result in results:
        _print_result(result)


@d1.command(short_help="Write the SQL that makes a copy.")
@_database
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The file.  [default: print it]")
@click.option("--table", "tables", metavar="TABLE", multiple=True, help="Only this table. Repeat it for more.")
@click.option("--no-schema", is_flag=True, help="Only rows.")
@click.option("--no-data", is_flag=True, help="Only tables, indexes, triggers and views.")
@session_options
def export(
    database: str,
    *,
    output: Path | None,
    tables: tuple[str, ...],
    no_schema: bool,
    no_data: bool,
    url: str | None,
    token: str | None,
) -> None:
    """Write the SQL that makes a copy of a database, as `wrangler d1 export` does.

    \b
    Examples:
      emulator d1 export DB --output db.sql
      emulator d1 export DB --table users --no-schema
    """
    options = {"no_schema": no_schema, "no_data": no_data, "tables": list(tables)}
    with data(url, token) as client:
        address = f"{_address(_named(client, database))}/export"
        answer = client.ask_for("POST", address, {"output_format": "polling", "dump_options": options})
        parts = urlsplit(answer["result"]["signed_url"])
        with client.download(f"{parts.path}?{parts.query}".partition(ACCOUNT)[2]) as (_, pieces):
            content = b"".join(pieces)
    if output is None:
        sys.stdout.buffer.write(content)
        return
    output.write_bytes(content)
    click.echo(f"Wrote {shown_path(output)} ({len(content):,} bytes)")


@d1.group(short_help="Create, list and apply migrations.")
def migrations() -> None:
    """Create, list and apply migrations: files of SQL in the directory `migrations_dir` of the configuration, which are
    applied once, in the order of their names.

    \b
    Examples:
      emulator d1 migrations create DB add users
      emulator d1 migrations list DB
      emulator d1 migrations apply DB
    """


@migrations.command(short_help="Make the file of a new migration.")
@_database
@click.argument("message", nargs=-1, required=True)
@session_options
def create(database: str, message: tuple[str, ...], url: str | None, token: str | None) -> None:
    """Make the file of a new migration, which MESSAGE describes.

    \b
    Examples:
      emulator d1 migrations create DB add users
    """
    with data(url, token) as client:
        found = _migrations(_named(client, database))
    words = " ".join(message)
    found.directory.mkdir(parents=True, exist_ok=True)
    path = found.directory / next_name([path.name for path in found.directory.iterdir()], words)
    path.write_text(f"-- {path.stem}: {words}\n", encoding="utf-8")
    click.echo(f"Made {shown_path(path)}")


@migrations.command("list", short_help="List those that have not been applied.")
@_database
@_as_json
@session_options
def list_migrations(database: str, *, as_json: bool, url: str | None, token: str | None) -> None:
    """List the migrations, and which of them have been applied.

    \b
    Examples:
      emulator d1 migrations list DB
    """
    with data(url, token) as client:
        entry = _named(client, database)
        found = _migrations(entry)
        applied = _applied(client, entry, found)
    names = [migration.name for migration in found.all()]
    if as_json:
        print_json([{"name": name, "applied": name in applied} for name in names])
    elif names:
        print_table(["MIGRATION", "APPLIED"], [[name, "yes" if name in applied else "no"] for name in names])
    else:
        click.echo(f"There is no migration in {shown_path(found.directory)}.")


@migrations.command(short_help="Apply those that have not been applied.")
@_database
@session_options
def apply(database: str, *, url: str | None, token: str | None) -> None:
    """Apply the migrations that have not been applied, each in a transaction of its own. The first one that fails ends
    it, and leaves nothing behind.

    \b
    Examples:
      emulator d1 migrations apply DB
    """
    with data(url, token) as client:
        entry = _named(client, database)
        found = _migrations(entry)
        address = f"{_address(entry)}/query"
        client.ask_for("POST", address, {"sql": found.prepares})
        pending = found.pending(_applied(client, entry, found))
        for migration in pending:
            _apply(client, address, found, migration)
    click.echo(f"Applied {count(len(pending), 'migration')}" if pending else "Every migration has been applied.")


def _apply(client: DataClient, address: str, found: Migrations, migration: Migration) -> None:
    try:
        client.ask_for("POST", address, {"sql": found.applies(migration)})
    except RestError as error:
        text = f"{migration.name} cannot be applied, and has changed nothing: {error}"
        raise EmulatorError(text) from None
    click.echo(f"{migration.name}  applied")


def _import(client: DataClient, address: str, file: Path, *, as_json: bool) -> None:
    """Let a file of SQL be executed, however long that takes."""
    content = file.read_bytes()
    name = md5(content, usedforsecurity=False).hexdigest()
    begun = client.ask_for("POST", f"{address}/import", {"action": "init", "etag": name})
    client.upload_file(f"{address}/import/{quote(begun['filename'], safe='')}", content)
    ended = client.wait_for("POST", f"{address}/import", {"action": "ingest", "etag": name, **_file(begun)})
    if ended["status"] != "complete":
        raise EmulatorError(f"{shown_path(file)} cannot be executed, and has changed nothing: {ended['error']}")
    result = ended["result"]
    if as_json:
        print_json(result)
        return
    meta = result["meta"]
    click.echo(
        f"Executed {count(result['num_queries'], 'statement')} in {meta['duration']:,.1f} ms "
        f"({count(meta['rows_read'], 'row')} read, {count(meta['rows_written'], 'row')} written)"
    )


def _file(begun: dict[str, Any]) -> dict[str, str]:
    return {"filename": begun["filename"]}


def _list(client: DataClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.ask_for("GET", _DATABASES, per_page=_MOST)
    return found


def _named(client: DataClient, name: str) -> dict[str, Any]:
    found = _list(client)
    identifier = client.named("D1 database", name, [(each["uuid"], each["name"], each["bindings"]) for each in found])
    return next(each for each in found if each["uuid"] == identifier)


def _address(entry: dict[str, Any]) -> str:
    return f"{_DATABASES}/{quote(entry['uuid'], safe='')}"


def _migrations(entry: dict[str, Any]) -> Migrations:
    known = entry["migrations"]
    if known is None:
        raise EmulatorError(f"no configuration says where the migrations of {entry['name']} are")
    return Migrations(Path(known["directory"]), known["pattern"], known["table"])


def _applied(client: DataClient, entry: dict[str, Any], found: Migrations) -> set[str]:
    address = f"{_address(entry)}/query"
    if not client.ask_for("POST", address, {"sql": found.exists})[0]["results"]:
        return set()
    return {row["name"] for row in client.ask_for("POST", address, {"sql": found.applied})[0]["results"]}


def _print_result(result: dict[str, Any]) -> None:
    rows, meta = result["results"], result["meta"]
    if rows:
        print_table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])
    told = [count(len(rows), "row")] if rows or not meta["changes"] else []
    if meta["changes"]:
        told.append(f"{count(meta['changes'], 'row')} changed")
    click.echo(click.style(f"{', '.join(told)} ({meta['duration']:,.2f} ms)", dim=True))


def _cell(value: Any) -> str:
    text = "NULL" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 1]}…"
