"""The part of the REST API about the Secrets Store, as `wrangler secrets-store ... --remote` calls it.

As in production, no call gives the value of a secret.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from emulator.bindings.rest import ApiError, ApiErrorCode, Call, Page, Rest, Route, SessionView, iso
from emulator.bindings.secrets_store.kind import KIND, OpenSecretsStore
from emulator.bindings.secrets_store.store import SecretEntry, SecretError, Store

_STORES: Final = "/accounts/{account_id}/secrets_store/stores"
_SECRETS: Final = f"{_STORES}/{{store_id}}/secrets"
_SECRET: Final = f"{_SECRETS}/{{secret_id}}"

STORE_NOT_FOUND: Final = 1001
SECRET_NOT_FOUND: Final = 1002
NAME_TAKEN: Final = 1003


class StoreBody(msgspec.Struct):
    """The body that makes a store."""

    name: str


class SecretBody(msgspec.Struct):
    """The body that makes a secret."""

    name: str
    value: str
    scopes: list[str] = []
    comment: str = ""


class SecretChange(msgspec.Struct):
    """The body that changes a secret, or copies it under another name. What is not given stays."""

    name: str | None = None
    value: str | None = None
    scopes: list[str] | None = None
    comment: str | None = None


def _open(call: Call[SessionView]) -> OpenSecretsStore:
    return cast("OpenSecretsStore", call.session.open_kinds[KIND])


def _stores(call: Call[SessionView]) -> list[Store]:
    kinds = _open(call)
    there = {store.id: store for store in kinds.store.stores()}
    declared = {each.store: Store(each.store, each.store, 0.0) for each in kinds.declared.values()}
    return list({**declared, **there}.values())


def _store_id(call: Call[SessionView]) -> str:
    identifier = call.path["store_id"]
    if not any(store.id == identifier for store in _stores(call)):
        text = f"store not found: {identifier!r} is neither declared nor has it any secrets"
        raise ApiError(404, STORE_NOT_FOUND, text)
    return identifier


def _entry(call: Call[SessionView]) -> SecretEntry:
    found = _open(call).store.find(call.path["store_id"], call.path["secret_id"])
    if found is None:
        raise ApiError(404, SECRET_NOT_FOUND, f"secret not found: {call.path['secret_id']!r}")
    return found


def _store_shape(call: Call[SessionView], store: Store) -> dict[str, Any]:
    """What the API says of a store; `bindings` is the emulator's own."""
    bindings = [
        {"name": name, "secret_name": each.secret}
        for name, each in sorted(_open(call).declared.items())
        if each.store == store.id
    ]
    times = {"created": iso(store.created), "modified": iso(store.created)}
    return {"id": store.id, "name": store.name, "account_id": call.path["account_id"], **times, "bindings": bindings}


def _shape(entry: SecretEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "store_id": entry.store,
        "name": entry.name,
        "comment": entry.comment,
        "scopes": list(entry.scopes),
        "status": "active",
        "created": iso(entry.created),
        "modified": iso(entry.modified),
    }


def list_stores(call: Call[SessionView], _body: None) -> Page:
    """`GET .../stores`."""
    shown, page = call.page(_stores(call))
    return msgspec.structs.replace(page, items=[_store_shape(call, store) for store in shown])


def create_store(call: Call[SessionView], body: StoreBody) -> dict[str, Any]:
    """`POST .../stores`."""
    if any(store.name == body.name for store in _stores(call)):
        raise ApiError(409, NAME_TAKEN, f"a store with the name {body.name!r} exists already")
    made = _open(call).store.create_store(body.name)
    call.report(f"Secrets Store {body.name} created")
    return _store_shape(call, made)


def delete_store(call: Call[SessionView], _body: None) -> dict[str, Any]:
    """`DELETE .../stores/{id}`: its secrets, too."""
    _open(call).store.delete_store(_store_id(call))
    call.report(f"Secrets Store {call.path['store_id']} deleted")
    return {}


def list_secrets(call: Call[SessionView], _body: None) -> Page:
    """`GET .../secrets?search=`."""
    wanted = call.query.get("search", "")
    there = [entry for entry in _open(call).store.entries(_store_id(call)) if wanted in entry.name]
    shown, page = call.page(there)
    return msgspec.structs.replace(page, items=[_shape(entry) for entry in shown])


def create_secrets(call: Call[SessionView], body: list[SecretBody]) -> list[dict[str, Any]]:
    """`POST .../secrets`: all of them, or none."""
    store, identifier = _open(call).store, _store_id(call)
    taken = {entry.name for entry in store.entries(identifier)}
    for each in body:
        if each.name in taken:
            raise ApiError(409, NAME_TAKEN, f"a secret with the name {each.name!r} exists already")
    made = [store.put(identifier, each.name, each.value, each.comment, each.scopes) for each in body]
    for entry in made:
        call.report(f"secret {entry.name} created")
    return [_shape(entry) for entry in made]


def get_secret(call: Call[SessionView], _body: None) -> dict[str, Any]:
    """`GET .../secrets/{id}`: what it is, and not its value."""
    return _shape(_entry(call))


def update_secret(call: Call[SessionView], body: SecretChange) -> dict[str, Any]:
    """`PATCH .../secrets/{id}`."""
    return _copied(call, body, _entry(call).name, "changed")


def duplicate_secret(call: Call[SessionView], body: SecretChange) -> dict[str, Any]:
    """`POST .../secrets/{id}/duplicate`: the same value under another name."""
    if not body.name:
        raise ApiError(400, ApiErrorCode.INVALID_BODY, "the body is invalid: `name` is missing")
    return _copied(call, body, body.name, "created")


def delete_secret(call: Call[SessionView], _body: None) -> dict[str, Any]:
    """`DELETE .../secrets/{id}`."""
    entry = _entry(call)
    _open(call).store.delete(entry.store, entry.name)
    call.report(f"secret {entry.name} deleted")
    return _shape(entry)


def _copied(call: Call[SessionView], body: SecretChange, name: str, what: str) -> dict[str, Any]:
    """Keep the secret of a call, with what `body` changes of it, under a name."""
    store, entry = _open(call).store, _entry(call)
    value = body.value if body.value is not None else store.get(entry.store, entry.name) or ""
    comment = entry.comment if body.comment is None else body.comment
    scopes = entry.scopes if body.scopes is None else body.scopes
    kept = store.put(entry.store, name, value, comment, scopes)
    call.report(f"secret {name} {what}")
    return _shape(kept)


REST: Final = Rest(
    about="the Secrets Store",
    root="/accounts/ACCOUNT/secrets_store/stores",
    routes=(
        Route("GET", _STORES, list_stores),
        Route("POST", _STORES, create_store, StoreBody),
        Route("DELETE", f"{_STORES}/{{store_id}}", delete_store),
        Route("GET", _SECRETS, list_secrets),
        Route("POST", _SECRETS, create_secrets, list[SecretBody]),
        Route("GET", _SECRET, get_secret),
        Route("PATCH", _SECRET, update_secret, SecretChange),
        Route("DELETE", _SECRET, delete_secret),
        Route("POST", f"{_SECRET}/duplicate", duplicate_secret, SecretChange),
    ),
    refusals=((SecretError, lambda error: ApiError(400, ApiErrorCode.INVALID_BODY, str(error))),),
)
