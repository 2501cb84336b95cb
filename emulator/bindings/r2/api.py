"""Cloudflare's REST API for R2: what wrangler and the official SDKs talk to.

A bucket exists once a configuration names it, or somebody has created it or put an object into it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final, cast

import msgspec

from emulator.bindings.r2 import errors
from emulator.bindings.r2.bucket import R2Bucket
from emulator.bindings.r2.config import BUCKET_NAME, KIND
from emulator.bindings.r2.errors import R2Error
from emulator.bindings.r2.etags import read_etags
from emulator.bindings.r2.kind import OpenR2
from emulator.bindings.r2.objects import (
    HTTP_HEADERS,
    MAX_LIST_KEYS,
    STANDARD,
    Conditions,
    Metadata,
    R2Object,
)
from emulator.bindings.rest import ApiError, ApiErrorCode, Call, CursorPage, Download, Rest, Route, Upload, iso
from emulator.bindings.rest import SessionView as View

_BUCKETS: Final = "/accounts/{account_id}/r2/buckets"
_BUCKET: Final = f"{_BUCKETS}/{{bucket_name}}"
_OBJECTS: Final = f"{_BUCKET}/objects"
_OBJECT: Final = f"{_OBJECTS}/{{key:path}}"


class NewBucket(msgspec.Struct):
    """The body that creates a bucket. Where it is and how it is stored has no effect here."""

    name: str
    locationHint: str | None = None  # noqa: N815 - the API's names
    storageClass: str | None = None  # noqa: N815


def _open(call: Call[View]) -> OpenR2:
    return cast("OpenR2", call.session.open_kinds[KIND])


def _bucket(call: Call[View]) -> R2Bucket:
    name = call.path["bucket_name"]
    if name not in _open(call).buckets():
        raise R2Error(errors.NO_SUCH_BUCKET)
    return _open(call).bucket(name)


def _bucket_shape(call: Call[View], name: str, created: int) -> dict[str, Any]:
    """What the API says of a bucket; `bindings` is the emulator's own."""
    return {
        "name": name,
        "creation_date": iso(created / 1000),
        "storage_class": STANDARD,
        "jurisdiction": "default",
        "bindings": _open(call).bindings_of(name),
    }


def list_buckets(call: Call[View], _body: None) -> dict[str, Any]:
    """`GET .../buckets?name_contains=`."""
    wanted = call.query.get("name_contains", "")
    found = sorted(_open(call).buckets().items())
    return {"buckets": [_bucket_shape(call, *each) for each in found if wanted in each[0]]}


def create_bucket(call: Call[View], body: NewBucket) -> dict[str, Any]:
    """`POST .../buckets`."""
    if not BUCKET_NAME.accepts(body.name):
        raise R2Error(errors.INVALID_BUCKET_NAME)
    if body.name in _open(call).buckets():
        raise R2Error(errors.BUCKET_EXISTS)
    created = _open(call).store.create_bucket(body.name)
    call.report(f"R2 bucket {body.name} created")
    return _bucket_shape(call, body.name, created)


def get_bucket(call: Call[View], _body: None) -> dict[str, Any]:
    """`GET .../buckets/{name}`."""
    name = _bucket(call).name
    return _bucket_shape(call, name, _open(call).buckets()[name])


def delete_bucket(call: Call[View], _body: None) -> dict[str, Any]:
    """`DELETE .../buckets/{name}`, of an empty one. One that a configuration names stays."""
    name = _bucket(call).name
    _open(call).store.delete_bucket(name)
    call.report(f"R2 bucket {name} deleted")
    return {}


def _object_shape(found: R2Object) -> dict[str, Any]:
    http = {name: iso(value / 1000) if isinstance(value, int) else value for name, value in found.metadata.http.items()}
    return {
        "key": found.key,
        "size": found.size,
        "etag": found.etag,
        "last_modified": iso(found.uploaded / 1000),
        "http_metadata": http,
        "custom_metadata": found.metadata.custom,
        "storage_class": found.metadata.storage_class,
        "ssec": bool(found.metadata.customer_key),
    }


def list_objects(call: Call[View], _body: None) -> CursorPage:
    """`GET .../objects?prefix=&delimiter=&start_after=&per_page=&cursor=`."""
    query = call.query
    per_page = query.get("per_page") or str(MAX_LIST_KEYS)
    page = _bucket(call).list(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        limit=int(per_page) if per_page.isascii() and per_page.isdigit() and len(per_page) < 9 else 0,
        cursor=query.get("cursor", ""),
        start_after=query.get("start_after", ""),
    )
    more = {"is_truncated": page.cursor is not None, "delimited": page.prefixes}
    return CursorPage([_object_shape(each) for each in page.objects], page.cursor or "", more)


def get_object(call: Call[View], _body: None) -> Download:
    """`GET .../objects/{key}`: the value as it is, with its metadata in the headers."""
    headers = call.headers
    conditions = Conditions(
        None,
        read_etags(headers["if-none-match"]) if "if-none-match" in headers else None,
        None,
        _header_milliseconds(headers.get("if-modified-since")),
        in_seconds=True,
    )
    got = _bucket(call).get(call.path["key"], headers.get("range"), conditions)
    if got is None:
        raise R2Error(errors.NO_SUCH_KEY)
    found, value = got
    told = {"etag": f'"{found.etag}"', "last-modified": _http_date(found.uploaded)}
    if value is None:
        return Download(b"", told, 304)
    told["content-type"] = "application/octet-stream"
    told["content-length"] = str(value.length)
    for name, header in HTTP_HEADERS.items():
        kept = found.metadata.http.get(name)
        if kept is not None:
            told[header] = _http_date(kept) if isinstance(kept, int) else kept
    if value.length < found.size:
        assert found.range is not None
        start = found.range[0]
        told["content-range"] = f"bytes {start}-{start + value.length - 1}/{found.size}"
        return Download(value, told, 206)
    return Download(value, told)


async def put_object(call: Call[View], body: Upload) -> dict[str, Any]:
    """`PUT .../objects/{key}`: the value; its metadata is in the headers."""
    bucket = _bucket(call)
    metadata = Metadata(_http_metadata(call.headers), {}, call.headers.get("cf-r2-storage-class") or STANDARD)
    made = await bucket.put(call.path["key"], _filled(body.pieces), metadata)
    assert made is not None
    return {
        "key": made.key,
        "etag": made.etag,
        "size": str(made.size),
        "storage_class": made.metadata.storage_class,
        "uploaded": iso(made.uploaded / 1000),
        "version": made.version,
    }


def delete_object(call: Call[View], _body: None) -> dict[str, Any]:
    """`DELETE .../objects/{key}`."""
    _bucket(call).delete([call.path["key"]])
    return {"key": call.path["key"]}


async def _filled(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if piece:
            yield piece


def _http_metadata(headers: Mapping[str, str]) -> dict[str, str | int]:
    kept: dict[str, str | int] = {}
    for name, header in HTTP_HEADERS.items():
        value = headers.get(header)
        if value:
            moment = _header_milliseconds(value) if name == "cacheExpiry" else None
            kept[name] = value if moment is None else moment
    return kept


def _header_milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return round(parsedate_to_datetime(text).timestamp() * 1000)
    except ValueError:
        raise ApiError(400, ApiErrorCode.INVALID_HEADERS, f"{text!r} is not a date as HTTP has them") from None


def _http_date(milliseconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(milliseconds // 1000, UTC), usegmt=True)


REST: Final = Rest(
    about="R2",
    root="/accounts/ACCOUNT/r2/buckets",
    routes=(
        Route("GET", _BUCKETS, list_buckets),
        Route("POST", _BUCKETS, create_bucket, NewBucket),
        Route("GET", _BUCKET, get_bucket),
        Route("DELETE", _BUCKET, delete_bucket),
        Route("GET", _OBJECTS, list_objects),
        Route("GET", _OBJECT, get_object),
        Route("PUT", _OBJECT, put_object, Upload),
        Route("DELETE", _OBJECT, delete_object),
    ),
    refusals=((R2Error, lambda error: ApiError(error.status, error.code, error.message)),),
)
