"""Answers the R2 bindings of JavaScript workers.

What is asked is JSON: in a header where it is about reading, else in front of the value in the body. Numbers of 64 bits
are strings there.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal

import msgspec

from emulator.base.errors import EmulatorError
from emulator.bindings.r2 import errors
from emulator.bindings.r2.bucket import R2Bucket
from emulator.bindings.r2.errors import R2Error
from emulator.bindings.r2.objects import (
    HASH_BYTES,
    MAX_LIST_KEYS,
    STANDARD,
    Conditions,
    Etag,
    Metadata,
    R2Object,
    R2Range,
    check_size,
    customer_key_of,
)
from emulator.bindings.r2.store import PublishedPart, Value
from emulator.bindings.wiring import Answered, Reference, WireRequest, WireResponse, Wiring

_SIZE: Final = b"cf-r2-metadata-size"
_JSON: Final = (b"Content-Type", b"application/json")
_MAX_ASKED_BYTES: Final = 1024 * 1024
_INCLUDE_HTTP: Final = 0
_INCLUDE_CUSTOM: Final = 1

_Number = int | str


class _Record(msgspec.Struct):
    k: str
    v: str


class _Range(msgspec.Struct):
    offset: _Number | None = None
    length: _Number | None = None
    suffix: _Number | None = None


class _Etag(msgspec.Struct):
    type: Literal["strong", "weak", "wildcard"]
    value: str = ""


class _Conditional(msgspec.Struct):
    etagMatches: list[_Etag] | None = None  # noqa: N815 - workerd's names
    etagDoesNotMatch: list[_Etag] | None = None  # noqa: N815
    uploadedBefore: _Number | None = None  # noqa: N815
    uploadedAfter: _Number | None = None  # noqa: N815
    secondsGranularity: bool = False  # noqa: N815


class _Part(msgspec.Struct):
    etag: str
    part: int


class _CustomerKey(msgspec.Struct):
    key: str


class _Asked(msgspec.Struct):
    """What is asked, whatever the method."""

    method: str
    object: str | None = None
    objects: list[str] | None = None
    range: _Range | None = None
    rangeHeader: str | None = None  # noqa: N815 - workerd's names
    onlyIf: _Conditional | None = None  # noqa: N815
    customFields: list[_Record] | None = None  # noqa: N815
    httpFields: dict[str, Any] | None = None  # noqa: N815
    storageClass: str | None = None  # noqa: N815
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    sha384: str | None = None
    sha512: str | None = None
    ssec: _CustomerKey | None = None
    uploadId: str = ""  # noqa: N815
    partNumber: int = 0  # noqa: N815
    parts: list[_Part] | None = None
    limit: int = MAX_LIST_KEYS
    prefix: str = ""
    cursor: str = ""
    delimiter: str = ""
    startAfter: str = ""  # noqa: N815
    include: list[int] | None = None


_read: Final = msgspec.json.Decoder(_Asked).decode


def wire(buckets: Iterable[tuple[str, R2Bucket]]) -> Iterator[Wiring]:
    """The R2 bindings of a worker, by their names."""
    for name, bucket in buckets:
        answered = Answered(partial(answer, bucket), takes_streams=True)
        yield Wiring(name, {"r2Bucket": Reference()}, {"": answered})


async def answer(bucket: R2Bucket, request: WireRequest) -> WireResponse:
    """The answer to a request of a binding."""
    try:
        if request.method == b"GET":
            return _answer_read(bucket, _read(request.headers.get(b"cf-r2-request", b"")))
        return await _answer_write(bucket, request)
    except R2Error as error:
        return _refusal(error)
    except EmulatorError as error:
        return _refusal(R2Error(errors.INTERNAL, error.message))
    except msgspec.MsgspecError as error:
        return _refusal(R2Error(errors.INVALID_ARGUMENT, f"The request is damaged: {error}"))


def _answer_read(bucket: R2Bucket, asked: _Asked) -> WireResponse:
    key = asked.object or ""
    if asked.method == "list":
        return _listing(bucket, asked)
    if asked.method == "head":
        found = bucket.head(key)
        return _refusal(R2Error(errors.NO_SUCH_KEY)) if found is None else _with_value(found, None)
    conditions = _conditions(asked.onlyIf)
    got = bucket.get(key, asked.rangeHeader or _range(asked.range), conditions, _customer_key(asked))
    if got is None:
        return _refusal(R2Error(errors.NO_SUCH_KEY))
    found, value = got
    if value is None:
        return _refusal(R2Error(errors.PRECONDITION_FAILED), found)
    return _with_value(found, value)


async def _answer_write(bucket: R2Bucket, request: WireRequest) -> WireResponse:
    asked, value, size = await _split(request)
    key = asked.object or ""
    method = asked.method
    if method == "put":
        check_size(size)
        made = await bucket.put(
            key, value, _metadata(asked), conditions=_conditions(asked.onlyIf), hashes=_hashes(asked)
        )
        return _refusal(R2Error(errors.PRECONDITION_FAILED)) if made is None else _result(shape(made))
    if method == "delete":
        bucket.delete([key] if asked.objects is None else asked.objects)
        return WireResponse()
    if method == "createMultipartUpload":
        return _result({"uploadId": bucket.create_upload(key, _metadata(asked))})
    if method == "uploadPart":
        check_size(size)
        return _result(
            {
                "etag": await bucket.upload_part(
                    key, asked.uploadId, asked.partNumber, value, customer_key=_customer_key(asked)
                )
            }
        )
    if method == "completeMultipartUpload":
        parts = [PublishedPart(part.part, part.etag) for part in asked.parts or ()]
        return _result(shape(bucket.complete_upload(key, asked.uploadId, parts)))
    if method == "abortMultipartUpload":
        bucket.abort_upload(key, asked.uploadId)
        return WireResponse()
    raise R2Error(errors.INVALID_ARGUMENT, f"The method {method!r} is not known.")


async def _split(request: WireRequest) -> tuple[_Asked, AsyncIterator[bytes], int]:
    """What is asked, the value, and its size."""
    length = request.headers.get(_SIZE, b"")
    whole = request.headers.get(b"content-length", b"")
    if request.pieces is None or not length.isdigit() or not whole.isdigit() or int(length) > _MAX_ASKED_BYTES:
        raise R2Error(errors.INVALID_ARGUMENT, "Metadata missing or invalid")
    size = int(length)
    begin = b""
    while len(begin) < size:
        piece = await anext(request.pieces, b"")
        if not piece:
            raise R2Error(errors.INVALID_ARGUMENT, "Metadata missing or invalid")
        begin += piece
    return _read(begin[:size]), _value(begin[size:], request.pieces), int(whole) - size


async def _value(begin: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if begin:
        yield begin
    async for piece in rest:
        yield piece


def _customer_key(asked: _Asked) -> str:
    return "" if asked.ssec is None else customer_key_of(bytes.fromhex(asked.ssec.key))


def _number(given: _Number | None) -> int | None:
    return None if given is None else int(given)


def _range(asked: _Range | None) -> R2Range | None:
    return None if asked is None else R2Range(_number(asked.offset), _number(asked.length), _number(asked.suffix))


def _conditions(asked: _Conditional | None) -> Conditions | None:
    if asked is None:
        return None
    return Conditions(
        _etags(asked.etagMatches),
        _etags(asked.etagDoesNotMatch),
        _number(asked.uploadedBefore),
        _number(asked.uploadedAfter),
        asked.secondsGranularity,
    )


def _etags(asked: Sequence[_Etag] | None) -> list[Etag] | None:
    return [Etag(each.type, each.value) for each in asked] if asked else None


def _metadata(asked: _Asked) -> Metadata:
    http = dict(asked.httpFields or {})
    if "cacheExpiry" in http:
        http["cacheExpiry"] = int(http["cacheExpiry"])
    custom = {each.k: each.v for each in asked.customFields or ()}
    return Metadata(http, custom, asked.storageClass or STANDARD, _customer_key(asked))


def _hashes(asked: _Asked) -> dict[str, bytes]:
    given: dict[str, bytes] = {}
    for name in HASH_BYTES:
        value = getattr(asked, name)
        if value is not None:
            given[name] = b64decode(value) if name == "md5" else bytes.fromhex(value)
    return given


def shape(found: R2Object, *, with_http: bool = True, with_custom: bool = True) -> dict[str, Any]:
    """An object as workerd reads it."""
    shown: dict[str, Any] = {
        "name": found.key,
        "version": found.version,
        "size": str(found.size),
        "etag": found.etag,
        "uploaded": str(found.uploaded),
        "storageClass": found.metadata.storage_class,
        "checksums": {
            str(index): found.checksums[name] for index, name in enumerate(HASH_BYTES) if name in found.checksums
        },
    }
    if with_http:
        shown["httpFields"] = {
            name: str(value) if name == "cacheExpiry" else value for name, value in found.metadata.http.items()
        }
    if with_custom:
        shown["customFields"] = [{"k": name, "v": value} for name, value in found.metadata.custom.items()]
    if found.metadata.customer_key:
        shown["ssec"] = {"algorithm": "aes256", "keyMd5": found.metadata.customer_key}
    if found.range is not None:
        offset, length = found.range
        shown["range"] = {"offset": str(offset), "length": str(length)}
    return shown


def _listing(bucket: R2Bucket, asked: _Asked) -> WireResponse:
    page = bucket.list(
        prefix=asked.prefix,
        delimiter=asked.delimiter,
        limit=asked.limit,
        cursor=asked.cursor,
        start_after=asked.startAfter,
    )
    include = asked.include or ()
    shown = {"with_http": _INCLUDE_HTTP in include, "with_custom": _INCLUDE_CUSTOM in include}
    listing: dict[str, Any] = {
        "objects": [shape(each, **shown) for each in page.objects],
        "truncated": page.cursor is not None,
        "delimitedPrefixes": page.prefixes,
    }
    if page.cursor is not None:
        listing["cursor"] = page.cursor
    return _result(listing)


def _result(content: Mapping[str, Any]) -> WireResponse:
    body = msgspec.json.encode(content)
    return WireResponse(body, headers=(_JSON, (b"CF-R2-Metadata-Size", b"%d" % len(body))))


def _with_value(found: R2Object, value: Value | None) -> WireResponse:
    result = _result(shape(found))
    whole = b"" if value is None else value.take_whole()
    if value is None or whole is not None:
        return result._replace(body=result.body + (whole or b""))
    length = (b"Content-Length", b"%d" % (len(result.body) + value.length))
    return WireResponse(headers=(*result.headers, length), pieces=_Answer(result.body, value))


class _Answer:
    """What is said of an object, and its value."""

    def __init__(self, begin: bytes, value: Value) -> None:
        self._begin = begin
        self._value = value

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._begin:
            begin, self._begin = self._begin, b""
            return begin
        return await anext(self._value)

    async def aclose(self) -> None:
        await self._value.aclose()


def _refusal(error: R2Error, found: R2Object | None = None) -> WireResponse:
    told = {"version": 1, "v4code": error.code, "message": error.message}
    refused = (b"CF-R2-Error", json.dumps(told).encode("ascii"))
    if found is None:
        return WireResponse(status=error.status, reason=b"Refused", headers=(refused,))
    result = _result(shape(found))
    return WireResponse(result.body, error.status, b"Refused", (*result.headers, refused))
