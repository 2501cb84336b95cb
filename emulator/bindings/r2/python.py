"""An R2 binding of a Python worker: `env.BUCKET`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

from emulator.base.errors import EmulatorError
from emulator.bindings.r2 import errors, etags
from emulator.bindings.r2.bucket import R2Bucket
from emulator.bindings.r2.errors import R2Error
from emulator.bindings.r2.objects import (
    HASH_BYTES,
    HASH_NAMES,
    HTTP_HEADERS,
    MAX_LIST_KEYS,
    MAX_PART_NUMBER,
    STANDARD,
    Conditions,
    Metadata,
    R2Object,
    R2Range,
    check_size,
    customer_key_of,
)
from emulator.bindings.r2.store import PublishedPart, Value
from emulator_runtime.hosting import (
    AttributeDict,
    Blob,
    Headers,
    JsException,
    ReadableStream,
    as_bytes,
    bytes_of,
    read_all,
    to_attribute_dict,
    to_int32,
    well_formed,
)

_HEX: Final = re.compile("[0-9a-f]+")
_NONE: Final[Mapping[str, Any]] = {}
_UNKNOWN_LENGTH: Final = (
    "Provided readable stream must have a known length (request/response body or readable half of FixedLengthStream)"
)
_USED: Final = "Body has already been used. It can only be used once. Use tee() first if you need to read it twice."
_INCLUDES: Final = frozenset({"httpMetadata", "customMetadata"})


class R2Checksums:
    """The checksums of an object as memoryviews: `md5`, `sha1`, `sha256`, `sha384`, `sha512`; None for those that are
    not known."""

    def __init__(self, checksums: Mapping[str, str]) -> None:
        self._checksums = checksums

    def __getattr__(self, name: str) -> memoryview | None:
        if name not in HASH_BYTES:
            raise AttributeError(f"R2Checksums has no attribute {name!r}")
        found = self._checksums.get(name)
        return None if found is None else memoryview(bytes.fromhex(found))

    def __getitem__(self, name: str) -> memoryview | None:
        return self.__getattr__(name)

    def toJSON(self) -> AttributeDict:  # noqa: N802 - production's name
        """Those that are known, in hexadecimal."""
        return AttributeDict(self._checksums)


class R2ObjectFacts:
    """An object without its value. What it has can also be read as `found["key"]`."""

    _kind = "HeadResult"

    def __init__(self, found: R2Object, *, with_http: bool = True, with_custom: bool = True) -> None:
        self.key = found.key
        self.version = found.version
        self.size = found.size
        self.etag = found.etag
        self.httpEtag = f'"{found.etag}"'
        self.uploaded = _datetime(found.uploaded)
        self.storageClass = found.metadata.storage_class
        self.ssecKeyMd5 = found.metadata.customer_key or None
        self.checksums = R2Checksums(found.checksums)
        self.httpMetadata = _http_shown(found.metadata) if with_http else None
        self.customMetadata = AttributeDict(found.metadata.custom) if with_custom else None
        self.range = None if found.range is None else AttributeDict(offset=found.range[0], length=found.range[1])

    def writeHttpMetadata(self, headers: Any) -> None:  # noqa: N802
        """Set the headers that `httpMetadata` says, in Headers or a dict."""
        if self.httpMetadata is None:
            text = (
                f"HTTP metadata unknown for key `{self.key}`. Did you forget to add 'httpMetadata' to `include` when "
                "listing?"
            )
            raise JsException(text, "TypeError")
        for name, header in HTTP_HEADERS.items():
            value = self.httpMetadata.get(name)
            if value is not None:
                text = format_datetime(value.replace(tzinfo=UTC), usegmt=True) if name == "cacheExpiry" else value
                headers[header] = text

    def __getitem__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(self, name):
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Any:
        raise TypeError(f"{self._kind} object is not iterable")

    def __repr__(self) -> str:
        return f"<{self._kind} {self.key}>"


class R2ObjectBody(R2ObjectFacts):
    """An object with its value, which can be read once."""

    _kind = "GetResult"

    def __init__(self, found: R2Object, value: Value) -> None:
        super().__init__(found)
        whole = value.take_whole()
        self.body = ReadableStream(value if whole is None else whole)

    @property
    def bodyUsed(self) -> bool:  # noqa: N802 - production's name
        """Whether reading the value has begun."""
        return self.body.disturbed

    async def arrayBuffer(self) -> memoryview:  # noqa: N802
        """The value."""
        return memoryview(await _all(self.body))

    async def bytes(self) -> memoryview:
        """The value."""
        return memoryview(await _all(self.body))

    async def text(self) -> str:
        """The value as text, decoded as UTF-8."""
        return (await _all(self.body)).decode("utf-8", "replace").removeprefix("\ufeff")

    async def json(self) -> Any:
        """What the value says as JSON."""
        try:
            return to_attribute_dict(json.loads(await self.text()))
        except ValueError as error:
            raise JsException(str(error), "SyntaxError") from None

    async def blob(self) -> Blob:
        """The value with its content type."""
        return Blob(await _all(self.body), (self.httpMetadata or _NONE).get("contentType", ""))


async def _all(body: ReadableStream) -> bytes:
    if body.disturbed or body.locked:
        raise JsException(_USED, "TypeError")
    return await read_all(body.take())


class R2Binding:
    """A bucket; `env.<binding>` of one worker. What the service refuses raises JsException with its words."""

    __slots__ = ("_bucket", "_name")

    def __init__(self, name: str, bucket: R2Bucket) -> None:
        self._name = name
        self._bucket = bucket

    async def head(self, key: Any) -> R2ObjectFacts | None:
        """An object without its value; None if there is none."""
        with _Words("head"):
            found = self._bucket.head(_text(key))
        return None if found is None else R2ObjectFacts(found)

    async def get(self, key: Any, options: Any = None, /, **keywords: Any) -> R2ObjectFacts | None:
        """An object: `get(key, range={"offset": 0, "length": 10}, onlyIf=)`, or the options as a dict. `range` may also
        be `{"suffix": 10}` or headers, `onlyIf` a dict or headers; `ssecKey` is the key that it was kept with. None if
        there is none; without its value if the conditions do not hold."""
        given = {**(options or _NONE), **keywords}
        conditions, wanted = _conditions(given.get("onlyIf")), _range(given.get("range"))
        customer_key = _customer_key(given)
        with _Words("get"):
            got = self._bucket.get(_text(key), wanted, conditions, customer_key)
        if got is None:
            return None
        found, value = got
        return R2ObjectFacts(found) if value is None else R2ObjectBody(found, value)

    async def put(self, key: Any, value: Any, options: Any = None, /, **keywords: Any) -> R2ObjectFacts | None:
        """Keep a string, bytes, a Blob or a stream of known length; None is empty. Options are keywords or a dict:
        `httpMetadata` (a dict or headers), `customMetadata`, `onlyIf`, `storageClass`, and one of `md5`, `sha1`,
        `sha256`, `sha384` and `sha512`, as bytes or in hexadecimal; `ssecKey`, 32 bytes or hexadecimal, without which
        the value cannot be read. Returns the object, or None if the conditions do not hold."""
        given = {**(options or _NONE), **keywords}
        conditions, metadata, hashes = _conditions(given.get("onlyIf")), _metadata(given), _hashes(given)
        content = _content(value, "put", "R2Bucket", optional=True)
        with _Words("put"):
            made = await self._bucket.put(_text(key), content, metadata, conditions=conditions, hashes=hashes)
        return None if made is None else R2ObjectFacts(made)

    async def delete(self, keys: Any) -> None:
        """Remove an object, or a list of up to 1,000. One that does not exist is no error."""
        names = [_text(key) for key in keys] if isinstance(keys, (list, tuple)) else [_text(keys)]
        with _Words("delete"):
            self._bucket.delete(names)

    async def list(self, options: Any = None, /, **keywords: Any) -> AttributeDict:
        """A page of objects in order: `list(prefix=, delimiter=, limit=1000, cursor=, startAfter=, include=)`, or the
        options as a dict. `include` has `httpMetadata`, `customMetadata` or both. Returns `objects`, `truncated`,
        `cursor` and `delimitedPrefixes`."""
        given = {**(options or _NONE), **keywords}
        include = given.get("include") or ()
        for each in include:
            if each not in _INCLUDES:
                raise JsException(f"Unsupported include value {each}", "RangeError")
        limit = given.get("limit")
        with _Words("list"):
            page = self._bucket.list(
                prefix=_text(given.get("prefix") or ""),
                delimiter=_text(given.get("delimiter") or ""),
                limit=MAX_LIST_KEYS if limit is None else to_int32(limit),
                cursor=_text(given.get("cursor") or ""),
                start_after=_text(given.get("startAfter") or ""),
            )
        shown = {"with_http": "httpMetadata" in include, "with_custom": "customMetadata" in include}
        listing = AttributeDict(
            objects=[R2ObjectFacts(each, **shown) for each in page.objects],
            truncated=page.cursor is not None,
            delimitedPrefixes=page.prefixes,
        )
        if page.cursor is not None:
            listing["cursor"] = page.cursor
        return listing

    async def createMultipartUpload(  # noqa: N802 - production's names
        self, key: Any, options: Any = None, /, **keywords: Any
    ) -> R2Upload:
        """Begin an upload in parts, with `httpMetadata`, `customMetadata`, `storageClass` and `ssecKey` as those of
        `put`."""
        given = {**(options or _NONE), **keywords}
        name, metadata = _text(key), _metadata(given)
        with _Words("createMultipartUpload"):
            return R2Upload(self._bucket, name, self._bucket.create_upload(name, metadata))

    def resumeMultipartUpload(self, key: Any, upload_id: Any) -> R2Upload:  # noqa: N802
        """An upload that was begun earlier, which is not checked."""
        return R2Upload(self._bucket, _text(key), _text(upload_id))

    def __repr__(self) -> str:
        return f"<R2Bucket {self._name}>"


class R2Upload:
    """An upload in parts."""

    __slots__ = ("_bucket", "key", "uploadId")

    def __init__(self, bucket: R2Bucket, key: str, upload_id: str) -> None:
        self._bucket = bucket
        self.key = key
        self.uploadId = upload_id

    async def uploadPart(  # noqa: N802 - production's name
        self, number: Any, value: Any, options: Any = None, /, **keywords: Any
    ) -> AttributeDict:
        """Keep a part, 1 to 10,000. All but the last one must have the same size, at least 5 MiB. Returns `partNumber`
        and `etag`."""
        customer_key = _customer_key({**(options or _NONE), **keywords})
        part = _part_number(number)
        content = _content(value, "uploadPart", "R2MultipartUpload")
        with _Words("uploadPart"):
            etag = await self._bucket.upload_part(self.key, self.uploadId, part, content, customer_key=customer_key)
        return AttributeDict(partNumber=part, etag=etag)

    async def complete(self, parts: Sequence[Mapping[str, Any]]) -> R2ObjectFacts:
        """Make an object of what `uploadPart` has returned."""
        published = [PublishedPart(_part_number(part["partNumber"]), _text(part["etag"])) for part in parts]
        with _Words("completeMultipartUpload"):
            return R2ObjectFacts(self._bucket.complete_upload(self.key, self.uploadId, published))

    async def abort(self) -> None:
        """End the upload without an object."""
        with _Words("abortMultipartUpload"):
            self._bucket.abort_upload(self.key, self.uploadId)

    def __getitem__(self, name: str) -> Any:
        if name not in {"key", "uploadId"}:
            raise KeyError(name)
        return getattr(self, name)

    def __repr__(self) -> str:
        return f"<R2MultipartUpload {self.key}>"


class _Words:
    """Lets errors of the service be raised as workers see them."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, R2Error):
            raise JsException(f"{self._operation}: {error}") from None
        if isinstance(error, EmulatorError):
            raise JsException(f"{self._operation}: {R2Error(errors.INTERNAL, error.message)}") from None


def _text(value: Any) -> str:
    return "null" if value is None else well_formed(str(value))


def _customer_key(given: Mapping[str, Any]) -> str:
    key = given.get("ssecKey")
    if key is None:
        return ""
    digits = bytes_of(key)
    if digits is None:
        text = _text(key)
        if not _HEX.fullmatch(text):
            raise JsException("SSE-C Key has invalid format")
        digits = bytes.fromhex(text) if len(text) % 2 == 0 else b""
    try:
        return customer_key_of(digits)
    except ValueError as error:
        raise JsException(str(error)) from None


def _part_number(number: Any) -> int:
    part = to_int32(number)
    if not 1 <= part <= MAX_PART_NUMBER:
        text = f"Part number must be between 1 and {MAX_PART_NUMBER} (inclusive). Actual value was: {part}"
        raise JsException(text, "TypeError")
    return part


def _content(value: Any, method: str, kind: str, *, optional: bool = False) -> bytes | AsyncIterator[bytes]:
    if value is None and optional:
        return b""
    if isinstance(value, str):
        return well_formed(value).encode()
    content = bytes_of(value)
    if content is not None:
        return content
    if isinstance(value, Blob):
        return value.content
    if isinstance(value, ReadableStream):
        length = value.length
        if length is None:
            raise JsException(_UNKNOWN_LENGTH, "TypeError")
        with _Words(method):
            check_size(length)
        taken = value.take()
        return taken if isinstance(taken, bytes) else _chunks(taken)
    text = (
        f"Failed to execute '{method}' on '{kind}': parameter 2 is not of type 'JsReadableStream or ArrayBuffer or "
        "ArrayBufferView or string or Blob'."
    )
    raise JsException(text, "TypeError")


async def _chunks(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in source:
        yield as_bytes(chunk)


def _metadata(given: Mapping[str, Any]) -> Metadata:
    http = given.get("httpMetadata")
    kept: dict[str, str | int] = {}
    if http is not None:
        is_headers = isinstance(http, Headers)
        for name, header in HTTP_HEADERS.items():
            value = http.get(header if is_headers else name)
            if value is not None:
                kept[name] = _milliseconds(value) if name == "cacheExpiry" else _text(value)
    custom = {_text(name): _text(value) for name, value in (given.get("customMetadata") or _NONE).items()}
    return Metadata(kept, custom, _text(given.get("storageClass") or STANDARD), _customer_key(given))


def _http_shown(metadata: Metadata) -> AttributeDict:
    return AttributeDict(
        {
            name: _datetime(value) if isinstance(value, int) else value
            for name in HTTP_HEADERS
            if (value := metadata.http.get(name)) is not None
        }
    )


def _hashes(given: Mapping[str, Any]) -> dict[str, bytes]:
    hashes: dict[str, bytes] = {}
    for name, length in HASH_BYTES.items():
        value = given.get(name)
        if value is None:
            continue
        if hashes:
            raise JsException("You cannot specify multiple hashing algorithms.", "TypeError")
        title = HASH_NAMES[name]
        digest = bytes_of(value)
        if digest is None:
            text = str(value)
            if len(text) != 2 * length:
                raise JsException(f"{title} is {2 * length} hex characters, not {len(text)}", "TypeError")
            try:
                digest = bytes.fromhex(text)
            except ValueError:
                raise JsException(f"Provided {title} wasn't a valid hex string", "TypeError") from None
        if len(digest) != length:
            raise JsException(f"{title} is {length} bytes, not {len(digest)}", "TypeError")
        hashes[name] = digest
    return hashes


def _range(given: Any) -> R2Range | str | None:
    if given is None:
        return None
    if isinstance(given, Headers):
        return given.get("range")
    offset = _whole(given.get("offset"), "range. Starting offset", "range. Starting offset")
    length = _whole(given.get("length"), "range. Length", "range. Length")
    suffix = given.get("suffix")
    if suffix is not None:
        for name, other in (("offset", offset), ("length", length)):
            if other is not None:
                raise JsException(f"Suffix is incompatible with {name}.", "TypeError")
    return R2Range(offset, length, _whole(suffix, "suffix. Suffix", "range. Suffix"))


def _whole(number: Any, negative: str, fraction: str) -> int | None:
    if number is None:
        return None
    if number < 0:
        raise JsException(f"Invalid {negative} ({number:g}) must be greater than or equal to 0.", "RangeError")
    if number != int(number):
        raise JsException(f"Invalid {fraction} ({number:g}) must be an integer, not floating point.", "RangeError")
    return int(number)


def _conditions(given: Any) -> Conditions | None:
    if given is None:
        return None
    if isinstance(given, Headers):
        return Conditions(
            _header_etags(given.get("if-match")),
            _header_etags(given.get("if-none-match")),
            _optional_milliseconds(given.get("if-unmodified-since")),
            _optional_milliseconds(given.get("if-modified-since")),
            in_seconds=True,
        )
    return Conditions(
        _one_etag(given.get("etagMatches")),
        _one_etag(given.get("etagDoesNotMatch")),
        _optional_milliseconds(given.get("uploadedBefore")),
        _optional_milliseconds(given.get("uploadedAfter")),
        bool(given.get("secondsGranularity")),
    )


def _header_etags(header: str | None) -> Sequence[Any] | None:
    if header is None:
        return None
    try:
        return etags.read_etags(header) or None
    except ValueError as error:
        raise JsException(str(error)) from None


def _one_etag(value: Any) -> Sequence[Any] | None:
    if value is None:
        return None
    text = _text(value)
    if text.startswith('"') and text.endswith('"'):
        raise JsException(f"Conditional ETag should not be wrapped in quotes ({text}).", "TypeError")
    return (etags.etag_of(text),)


def _optional_milliseconds(value: Any) -> int | None:
    return None if value is None else _milliseconds(value)


def _milliseconds(value: Any) -> int:
    """A time in milliseconds since the epoch: of a datetime, which is in UTC unless it says otherwise, of a Date, of a
    number of milliseconds, or of text."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    if hasattr(value, "getTime"):
        return int(value.getTime())
    if isinstance(value, int | float):
        return int(value)
    try:
        moment = parsedate_to_datetime(str(value))
    except ValueError:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            raise JsException(f"{value!r} is not a date", "TypeError") from None
    return _milliseconds(moment)


def _datetime(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)
