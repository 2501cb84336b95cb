"""Cloudflare's REST API for KV: what wrangler and the official SDKs talk to.

A namespace exists once a configuration names it, or somebody has made it or put a key into it. It is addressed by its
id, which is also its title unless it was made here.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any, Final, cast

import msgspec

from emulator.bindings.kv.config import KIND
from emulator.bindings.kv.kind import OpenKv
from emulator.bindings.kv.namespace import KvNamespace
from emulator.bindings.kv.store import MAX_BULK_PUT, MAX_VALUE_BYTES, KvError, check_size
from emulator.bindings.rest import ApiError, ApiErrorCode, Call, CursorPage, Download, Page, Rest, Route, Upload
from emulator.bindings.rest import SessionView as View
from emulator_runtime.hosting import Response

_NAMESPACES: Final = "/accounts/{account_id}/storage/kv/namespaces"
_NAMESPACE: Final = f"{_NAMESPACES}/{{namespace_id}}"
_VALUE: Final = f"{_NAMESPACE}/values/{{key:path}}"

KEY_NOT_FOUND: Final = 10009
NAMESPACE_NOT_FOUND: Final = 10013
TITLE_TAKEN: Final = 10014

_FORM_BYTES: Final = MAX_VALUE_BYTES + 65_536


class Title(msgspec.Struct):
    """The body that makes or renames a namespace."""

    title: str


class BulkEntry(msgspec.Struct):
    """A key of a bulk write. With `base64`, the value is written so."""

    key: str
    value: str
    expiration: int | None = None
    expiration_ttl: int | None = None
    metadata: Any = None
    base64: bool = False


class BulkGet(msgspec.Struct):
    """What a bulk read asks for."""

    keys: list[str]
    type: str | None = None
    withMetadata: bool = False  # noqa: N815 - the API's name


def _open(call: Call[View]) -> OpenKv:
    return cast("OpenKv", call.session.open_kinds[KIND])


def _namespace(call: Call[View]) -> KvNamespace:
    identifier = call.path["namespace_id"]
    if identifier not in dict(_open(call).namespaces()):
        text = f"namespace not found: {identifier!r} is neither declared nor has it any keys"
        raise ApiError(404, NAMESPACE_NOT_FOUND, text)
    return _open(call).namespace(identifier)


def _shape(call: Call[View], identifier: str, title: str) -> dict[str, Any]:
    """What the API says of a namespace; `bindings` is the emulator's own."""
    bindings = _open(call).bindings_of(identifier)
    return {"id": identifier, "title": title, "supports_url_encoding": True, "bindings": bindings}


def list_namespaces(call: Call[View], _body: None) -> Page:
    """`GET .../namespaces`."""
    shown, page = call.page(sorted(_open(call).namespaces()))
    return msgspec.structs.replace(page, items=[_shape(call, *each) for each in shown])


def create_namespace(call: Call[View], body: Title) -> dict[str, Any]:
    """`POST .../namespaces`. Its id is made of the title."""
    kinds = _open(call)
    if any(title == body.title for _, title in kinds.namespaces()):
        raise ApiError(400, TITLE_TAKEN, f"a namespace with the title {body.title!r} exists already")
    identifier = kinds.store.create(body.title)
    call.report(f"KV namespace {body.title} created")
    return _shape(call, identifier, body.title)


def get_namespace(call: Call[View], _body: None) -> dict[str, Any]:
    """`GET .../namespaces/{id}`."""
    namespace = _namespace(call)
    return _shape(call, namespace.id, dict(_open(call).namespaces())[namespace.id])


async def delete_namespace(call: Call[View], _body: None) -> dict[str, Any]:
    """`DELETE .../namespaces/{id}`: its keys, too. One that a configuration names stays, empty."""
    namespace = _namespace(call)
    await namespace.clear()
    _open(call).store.forget(namespace.id)
    call.report(f"KV namespace {namespace.id} deleted")
    return {}


async def list_keys(call: Call[View], _body: None) -> CursorPage:
    """`GET .../keys?prefix=&limit=&cursor=`."""
    query = call.query
    page = await _namespace(call).list(
        prefix=query.get("prefix", ""), limit=query.get("limit"), cursor=query.get("cursor", "")
    )
    keys = [
        {
            "name": key.name,
            **({} if key.expiration is None else {"expiration": key.expiration}),
            **({} if key.metadata is None else {"metadata": json.loads(key.metadata)}),
        }
        for key in page.keys
    ]
    return CursorPage(keys, page.cursor or "")


async def get_value(call: Call[View], _body: None) -> Download:
    """`GET .../values/{key}`: the value as it is."""
    entry = await _namespace(call).get(call.path["key"])
    if entry is None:
        raise ApiError(404, KEY_NOT_FOUND, "get: 'key not found'")
    headers = {"content-type": "application/octet-stream"}
    if entry.expiration is not None:
        headers["expiration"] = str(entry.expiration)
    return Download(entry.value, headers)


async def get_metadata(call: Call[View], _body: None) -> Any:
    """`GET .../metadata/{key}`."""
    entry = await _namespace(call).get(call.path["key"])
    if entry is None:
        raise ApiError(404, KEY_NOT_FOUND, "get: 'key not found'")
    return None if entry.metadata is None else json.loads(entry.metadata)


async def put_value(call: Call[View], body: Upload) -> dict[str, Any]:
    """`PUT .../values/{key}?expiration=&expiration_ttl=`: the value, or a form with `value` and `metadata`."""
    namespace = _namespace(call)
    content = bytearray()
    async for piece in body.pieces:
        content += piece
        if len(content) > _FORM_BYTES:
            check_size(len(content))
    value, metadata = bytes(content), None
    if body.content_type.startswith("multipart/form-data"):
        value, metadata = await _form(value, body.content_type)
    await namespace.put(
        call.path["key"],
        value,
        expiration=call.query.get("expiration"),
        expiration_ttl=call.query.get("expiration_ttl"),
        metadata=metadata,
    )
    return {}


async def _form(content: bytes, content_type: str) -> tuple[bytes, str | None]:
    try:
        form = await Response(content, headers={"content-type": content_type}).formData()
    except (TypeError, ValueError) as error:
        raise ApiError(400, ApiErrorCode.MALFORMED_BODY, f"the form cannot be read: {error}") from None
    value, metadata = form.get("value"), form.get("metadata")
    if value is None:
        raise ApiError(400, ApiErrorCode.INVALID_BODY, "the form has no `value`")
    given = value.encode() if isinstance(value, str) else bytes(await value.bytes())
    if metadata is not None and not isinstance(metadata, str):
        metadata = bytes(await metadata.bytes()).decode("utf-8", "replace")
    if metadata is not None:
        try:
            metadata = json.dumps(json.loads(metadata), separators=(",", ":"), ensure_ascii=False)
        except ValueError:
            raise ApiError(400, ApiErrorCode.INVALID_BODY, "`metadata` is not JSON") from None
    return given, None if metadata in {None, "null", "{}"} else metadata


async def delete_value(call: Call[View], _body: None) -> dict[str, Any]:
    """`DELETE .../values/{key}`."""
    await _namespace(call).delete(call.path["key"])
    return {}


async def put_bulk(call: Call[View], body: list[BulkEntry]) -> dict[str, Any]:
    """`PUT .../bulk`."""
    namespace = _namespace(call)
    if len(body) > MAX_BULK_PUT:
        raise ApiError(400, ApiErrorCode.INVALID_BODY, f"a bulk write has at most {MAX_BULK_PUT:,} keys")
    for entry in body:
        await namespace.put(
            entry.key,
            b64decode(entry.value) if entry.base64 else entry.value.encode(),
            expiration=entry.expiration,
            expiration_ttl=entry.expiration_ttl,
            metadata=None if entry.metadata is None else json.dumps(entry.metadata, separators=(",", ":")),
        )
    return {"successful_key_count": len(body), "unsuccessful_keys": []}


async def delete_bulk(call: Call[View], body: list[str]) -> dict[str, Any]:
    """`DELETE .../bulk` and `POST .../bulk/delete`."""
    if len(body) > MAX_BULK_PUT:
        raise ApiError(400, ApiErrorCode.INVALID_BODY, f"a bulk delete has at most {MAX_BULK_PUT:,} keys")
    await _namespace(call).delete(*body)
    return {"successful_key_count": len(body), "unsuccessful_keys": []}


async def get_bulk(call: Call[View], body: BulkGet) -> dict[str, Any]:
    """`POST .../bulk/get`."""
    return {"values": await _namespace(call).get_many(body.keys, body.type, with_metadata=body.withMetadata)}


REST: Final = Rest(
    about="KV",
    root="/accounts/ACCOUNT/storage/kv/namespaces",
    routes=(
        Route("GET", _NAMESPACES, list_namespaces),
        Route("POST", _NAMESPACES, create_namespace, Title),
        Route("GET", _NAMESPACE, get_namespace),
        Route("DELETE", _NAMESPACE, delete_namespace),
        Route("GET", f"{_NAMESPACE}/keys", list_keys),
        Route("GET", _VALUE, get_value),
        Route("PUT", _VALUE, put_value, Upload),
        Route("DELETE", _VALUE, delete_value),
        Route("GET", f"{_NAMESPACE}/metadata/{{key:path}}", get_metadata),
        Route("PUT", f"{_NAMESPACE}/bulk", put_bulk, list[BulkEntry]),
        Route("DELETE", f"{_NAMESPACE}/bulk", delete_bulk, list[str]),
        Route("POST", f"{_NAMESPACE}/bulk/delete", delete_bulk, list[str]),
        Route("POST", f"{_NAMESPACE}/bulk/get", get_bulk, BulkGet),
    ),
    refusals=((KvError, lambda error: ApiError(error.status, ApiErrorCode.INVALID_BODY, error.message)),),
)
