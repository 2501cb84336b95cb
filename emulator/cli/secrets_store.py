"""`emulator secrets-store`: says which secrets of the Secrets Store have a value, and changes them."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import quote

import click

from emulator.base.errors import EmulatorError
from emulator.cli.data import DataClient, data
from emulator.cli.options import session_options
from emulator.cli.tables import print_json, print_table

_STORES = "/secrets_store/stores"
_MOST = 1_000

_name = click.argument("name")


@click.group("secrets-store", short_help="Give secrets of the Secrets Store their values.")
def secrets_store() -> None:
    """Give the secrets that "secrets_store_secrets" names their values: in a running emulator, or in the project in
    this directory if none runs it. NAME is the name of a binding. No command prints a value.

    \b
    Examples:
      emulator secrets-store list
      emulator secrets-store put API_KEY            asks for the value
      emulator secrets-store put API_KEY - < key.txt
    """


@secrets_store.command("list", short_help="Say which secrets have a value.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@session_options
def list_(as_json: bool, url: str | None, token: str | None) -> None:
    """List the bindings, and whether their secrets have a value.

    \b
    Examples:
      emulator secrets-store list --json
    """
    with data(url, token) as client:
        found = _declared(client)
        for each in found:
            each["is_set"] = _id(client, each) is not None
    if as_json:
        print_json(found)
        return
    rows = [[each["name"], each["secret_name"], each["store_id"], "yes" if each["is_set"] else "no"] for each in found]
    print_table(["BINDING", "SECRET", "STORE", "SET"], rows)


@secrets_store.command(short_help="Keep the value of a secret.")
@_name
@click.argument("value", required=False)
@session_options
def put(name: str, value: str | None, url: str | None, token: str | None) -> None:
    """Keep a VALUE. Without it, it is asked for and not shown; if it is -, it is read from standard input.

    \b
    Examples:
      emulator secrets-store put API_KEY
      emulator secrets-store put API_KEY "only for tests"
    """
    if value is None:
        value = click.prompt(f"The value of {name}", hide_input=True, err=True)
    elif value == "-":
        value = sys.stdin.read().removesuffix("\n")
    with data(url, token) as client:
        secret = _find(client, name)
        known = _id(client, secret)
        if known is None:
            body = [{"name": secret["secret_name"], "value": value, "scopes": ["workers"]}]
            client.ask_for("POST", _secrets(secret), body)
        else:
            client.ask_for("PATCH", f"{_secrets(secret)}/{known}", {"value": value})
    click.echo(f"Kept {secret['secret_name']}")


@secrets_store.command(short_help="Remove the value of a secret.")
@_name
@session_options
def delete(name: str, url: str | None, token: str | None) -> None:
    """Remove the value of a secret. One that has none is no error.

    \b
    Examples:
      emulator secrets-store delete API_KEY
    """
    with data(url, token) as client:
        secret = _find(client, name)
        known = _id(client, secret)
        if known is not None:
            client.ask_for("DELETE", f"{_secrets(secret)}/{known}")
    click.echo(f"Removed {secret['secret_name']}")


def _declared(client: DataClient) -> list[dict[str, Any]]:
    """The bindings, each with `name`, `secret_name` and `store_id`."""
    stores = client.ask_for("GET", _STORES, per_page=_MOST)
    return [{**each, "store_id": store["id"]} for store in stores for each in store["bindings"]]


def _find(client: DataClient, name: str) -> dict[str, Any]:
    there = {each["name"]: each for each in _declared(client)}
    if name not in there:
        shown = f"There is: {', '.join(there)}." if there else 'Declare one under "secrets_store_secrets".'
        raise EmulatorError(f"there is no secret {name!r}", hint=shown)
    return there[name]


def _secrets(secret: dict[str, Any]) -> str:
    return f"{_STORES}/{quote(secret['store_id'], safe='')}/secrets"


def _id(client: DataClient, secret: dict[str, Any]) -> str | None:
    """The id of a secret; None if it has no value."""
    name = secret["secret_name"]
    found = client.ask_for("GET", _secrets(secret), search=name, per_page=_MOST)
    return next((each["id"] for each in found if each["name"] == name), None)
