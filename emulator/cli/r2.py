"""`emulator r2`: looks into R2 buckets, and changes them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from emulator.base.words import count
from emulator.cli.data import DataClient, data
from emulator.cli.options import session_options
from emulator.cli.progress import shown
from emulator.cli.tables import print_json, print_table

_BUCKETS = "/r2/buckets"
_PIECE_BYTES = 256 * 1024

_bucket = click.argument("bucket")
_key = click.argument("key")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(short_help="Look into R2 buckets, and change them.")
def r2() -> None:
    """Look into the R2 buckets of a running emulator, or of the project in this directory if none runs it, and change
    them. BUCKET is the name of a binding, or of a bucket.

    \b
    Examples:
      emulator r2 list                            the buckets
      emulator r2 list PICTURES --prefix cats/    the objects of one
      emulator r2 get PICTURES cats/1 > cat.png   a value
      emulator r2 put PICTURES cats/1 cat.png --content-type image/png
    """


@r2.command("list", short_help="List the buckets, or the objects of one.")
@click.argument("bucket", required=False)
@click.option("--prefix", default="", help="Only objects whose keys begin with this.")
@_as_json
@session_options
def list_(bucket: str | None, prefix: str, as_json: bool, url: str | None, token: str | None) -> None:
    """List the buckets; or the objects of a BUCKET.

    \b
    Examples:
      emulator r2 list
      emulator r2 list PICTURES --prefix cats/ --json
    """
    with data(url, token) as client:
        found = _buckets(client) if bucket is None else _objects(client, _name(client, bucket), prefix)
    if as_json:
        print_json(found)
    elif bucket is None:
        print_table(["BINDING", "BUCKET"], [[", ".join(each["bindings"]) or "-", each["name"]] for each in found])
    else:
        print_table(["KEY", "SIZE", "UPLOADED", "TYPE"], [_row(each) for each in found])


@r2.command(short_help="Print a value.")
@_bucket
@_key
@session_options
def get(bucket: str, key: str, url: str | None, token: str | None) -> None:
    """Print the value of the object KEY, as it is.

    \b
    Examples:
      emulator r2 get PICTURES cats/1 > cat.png
    """
    with data(url, token) as client, client.download(_address(_name(client, bucket), key)) as (total, pieces):
        # In a terminal that shows the value, a bar would be in its way.
        for piece in pieces if sys.stdout.isatty() else shown(pieces, key, total):
            sys.stdout.buffer.write(piece)


@r2.command(short_help="Keep a file as an object.")
@_bucket
@_key
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--content-type", metavar="TYPE", default="application/octet-stream", show_default=True)
@session_options
def put(bucket: str, key: str, file: Path, *, content_type: str, url: str | None, token: str | None) -> None:
    """Keep the content of FILE as the object KEY. If FILE is -, it is read from standard input.

    \b
    Examples:
      emulator r2 put PICTURES cats/1 cat.png --content-type image/png
      emulator r2 put PICTURES notes - < notes.txt
    """
    with data(url, token) as client, click.open_file(str(file), "rb") as opened:
        total = None if file == Path("-") else file.stat().st_size
        pieces = shown(iter(lambda: opened.read(_PIECE_BYTES), b""), key, total)
        kept = client.upload(_address(_name(client, bucket), key), pieces, content_type=content_type)
    click.echo(f"Kept {key} ({int(kept['size']):,} bytes)")


@r2.command(short_help="Remove objects.")
@_bucket
@click.argument("keys", nargs=-1, required=True)
@session_options
def delete(bucket: str, keys: tuple[str, ...], url: str | None, token: str | None) -> None:
    """Remove the objects KEYS. Those that do not exist are no error.

    \b
    Examples:
      emulator r2 delete PICTURES cats/1 cats/2
    """
    with data(url, token) as client:
        name = _name(client, bucket)
        for key in keys:
            client.ask_for("DELETE", _address(name, key))
    click.echo(f"Removed {count(len(keys), 'object')}")


def _buckets(client: DataClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.ask_for("GET", _BUCKETS)["buckets"]
    return found


def _name(client: DataClient, name: str) -> str:
    return client.named(
        "R2 bucket", name, [(each["name"], each["name"], each["bindings"]) for each in _buckets(client)]
    )


def _objects(client: DataClient, bucket: str, prefix: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = client.whole("GET", f"{_BUCKETS}/{quote(bucket)}/objects", prefix=prefix, cursor=cursor)
        found += page["result"]
        cursor = page["result_info"]["cursor"]
        if not cursor:
            return found


def _address(bucket: str, key: str) -> str:
    return f"{_BUCKETS}/{quote(bucket)}/objects/{quote(key, safe='/')}"


def _row(found: dict[str, Any]) -> list[str]:
    uploaded = f"{found['last_modified'][:19].replace('T', ' ')} UTC"
    return [found["key"], f"{found['size']:,}", uploaded, found["http_metadata"].get("contentType", "-")]
