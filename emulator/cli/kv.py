"""`emulator kv`: looks into KV namespaces, and changes them."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from emulator.base.errors import EmulatorError
from emulator.base.words import count
from emulator.cli.data import DataClient, data
from emulator.cli.options import session_options
from emulator.cli.tables import print_json, print_table

_NAMESPACES = "/storage/kv/namespaces"
_MOST = 1_000
_BULK = 1_000

_namespace = click.argument("namespace")
_key = click.argument("key")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(short_help="Look into KV namespaces, and change them.")
def kv() -> None:
    """Look into the KV namespaces of a running emulator, or of the project in this directory if none runs it, and
    change them. NAMESPACE is the name of a binding, or an id.

    \b
    Examples:
      emulator kv list                              the namespaces
      emulator kv list SESSIONS --prefix user:      the keys of one
      emulator kv get SESSIONS ada                  a value
      emulator kv put SESSIONS ada '{"n": 1}' --ttl 3600
      emulator kv bulk SESSIONS seed.json           many at once
    """


@kv.command("list", short_help="List the namespaces, or the keys of one.")
@click.argument("namespace", required=False)
@click.option("--prefix", default="", help="Only keys that begin with this.")
@_as_json
@session_options
def list_(namespace: str | None, prefix: str, as_json: bool, url: str | None, token: str | None) -> None:
    """List the namespaces; or the keys of a NAMESPACE, with when they expire and their metadata.

    \b
    Examples:
      emulator kv list
      emulator kv list SESSIONS --prefix user: --json
    """
    with data(url, token) as client:
        if namespace is None:
            _print_namespaces(_namespaces(client), as_json=as_json)
            return
        keys = _keys(client, _id(client, namespace), prefix)
    if as_json:
        print_json(keys)
    else:
        print_table(["KEY", "EXPIRES", "METADATA"], [_row(key) for key in keys])


@kv.command(short_help="Print a value.")
@_namespace
@_key
@session_options
def get(namespace: str, key: str, url: str | None, token: str | None) -> None:
    """Print the value of a KEY, as it is.

    \b
    Examples:
      emulator kv get SESSIONS ada
      emulator kv get SESSIONS picture > picture.png
    """
    with data(url, token) as client, client.download(_value(_id(client, namespace), key)) as (_, pieces):
        value = b"".join(pieces)
    stream = sys.stdout.buffer
    stream.write(value)
    if sys.stdout.isatty() and not value.endswith(b"\n"):
        stream.write(b"\n")


@kv.command(short_help="Keep a value.")
@_namespace
@_key
@click.argument("value", required=False)
@click.option("--path", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The file with the value.")
@click.option(
    "--ttl", metavar="SECONDS", type=click.IntRange(min=1), help="Let it expire this much later; at least 60."
)
@click.option("--metadata", metavar="JSON", help="What is kept beside it.")
@session_options
def put(
    namespace: str,
    key: str,
    *,
    value: str | None,
    path: Path | None,
    ttl: int | None,
    metadata: str | None,
    url: str | None,
    token: str | None,
) -> None:
    """Keep a VALUE, or the content of a file, under a KEY. If VALUE is -, it is read from standard input.

    \b
    Examples:
      emulator kv put SESSIONS ada '{"n": 1}' --ttl 3600
      emulator kv put SESSIONS picture --path picture.png --metadata '{"type": "image/png"}'
    """
    if (value is None) == (path is None):
        raise click.UsageError("Give a VALUE, or --path FILE.")
    if path is not None:
        content = path.read_bytes()
    else:
        content = sys.stdin.buffer.read() if value == "-" else str(value).encode()
    with data(url, token) as client:
        address = _value(_id(client, namespace), key)
        if metadata is None:
            client.upload(address, content, expiration_ttl=ttl)
        else:
            client.upload_form(address, {"value": content, "metadata": metadata.encode()}, expiration_ttl=ttl)
    click.echo(f"Kept {key} ({len(content):,} bytes)")


@kv.command(short_help="Remove keys.")
@_namespace
@click.argument("keys", nargs=-1, required=True)
@session_options
def delete(namespace: str, keys: tuple[str, ...], url: str | None, token: str | None) -> None:
    """Remove KEYS. Those that do not exist are no error.

    \b
    Examples:
      emulator kv delete SESSIONS ada grace
    """
    with data(url, token) as client:
        client.ask_for("POST", f"{_NAMESPACES}/{quote(_id(client, namespace), safe='')}/bulk/delete", list(keys))
    click.echo(f"Removed {count(len(keys), 'key')}")


@kv.command(short_help="Keep many values at once.")
@_namespace
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@session_options
def bulk(namespace: str, file: Path, url: str | None, token: str | None) -> None:
    """Keep what FILE contains: a JSON array of objects with `key`, `value` and, if you like, `expiration`,
    `expiration_ttl`, `metadata` and `base64`, as `wrangler kv bulk put` takes it.

    \b
    Examples:
      emulator kv bulk SESSIONS seed.json
    """
    try:
        entries = json.loads(file.read_bytes())
    except ValueError as error:
        raise EmulatorError(f"{file} is not JSON: {error}") from None
    if not isinstance(entries, list):
        raise EmulatorError(f"{file} must be an array of objects with `key` and `value`")
    with data(url, token) as client:
        address = f"{_NAMESPACES}/{quote(_id(client, namespace), safe='')}/bulk"
        for start in range(0, len(entries), _BULK):
            client.ask_for("PUT", address, entries[start : start + _BULK])
    click.echo(f"Kept {count(len(entries), 'key')}")


def _namespaces(client: DataClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.ask_for("GET", _NAMESPACES, per_page=_MOST)
    return found


def _id(client: DataClient, name: str) -> str:
    found = [(each["id"], each["title"], each["bindings"]) for each in _namespaces(client)]
    return client.named("KV namespace", name, found)


def _keys(client: DataClient, identifier: str, prefix: str) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = []
    cursor = ""
    while True:
        address = f"{_NAMESPACES}/{quote(identifier, safe='')}/keys"
        page = client.whole("GET", address, prefix=prefix, cursor=cursor)
        keys += page["result"]
        cursor = page["result_info"]["cursor"]
        if not cursor:
            return keys


def _value(identifier: str, key: str) -> str:
    return f"{_NAMESPACES}/{quote(identifier, safe='')}/values/{quote(key, safe='')}"


def _print_namespaces(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = [[", ".join(each["bindings"]) or "-", each["title"], each["id"]] for each in found]
    print_table(["BINDING", "TITLE", "ID"], rows)


def _row(key: dict[str, Any]) -> list[str]:
    expiration, metadata = key.get("expiration"), key.get("metadata")
    expires = "-" if expiration is None else f"{datetime.fromtimestamp(expiration, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return [key["name"], expires, "-" if metadata is None else json.dumps(metadata, ensure_ascii=False)]
