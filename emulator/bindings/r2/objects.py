"""What R2 knows of objects, and what can be asked of them: conditions, ranges, metadata."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import Final, Literal, NamedTuple

import msgspec

from emulator.bindings.r2 import errors
from emulator.bindings.r2.errors import R2Error

MAX_KEY_BYTES: Final = 1024
MAX_METADATA_BYTES: Final = 8192
MAX_LIST_KEYS: Final = 1000
MAX_DELETE_KEYS: Final = 1000
MAX_UPLOAD_BYTES: Final = 5 * 1024**3 - 5 * 1024**2
MIN_PART_BYTES: Final = 5 * 1024**2
MAX_PART_NUMBER: Final = 10_000
CUSTOMER_KEY_BYTES: Final = 32

STANDARD: Final = "Standard"
STORAGE_CLASSES: Final = (STANDARD, "InfrequentAccess")

HASH_BYTES: Final[Mapping[str, int]] = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
"""The checksums that R2 can verify, with their lengths."""

HASH_NAMES: Final[Mapping[str, str]] = {
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
}

HttpMetadata = Mapping[str, "str | int"]
"""`contentType`, `contentLanguage`, `contentDisposition`, `contentEncoding`, `cacheControl` as text, `cacheExpiry` in
milliseconds since the epoch; those that were given."""

HTTP_HEADERS: Final[Mapping[str, str]] = {
    "contentType": "content-type",
    "contentLanguage": "content-language",
    "contentDisposition": "content-disposition",
    "contentEncoding": "content-encoding",
    "cacheControl": "cache-control",
    "cacheExpiry": "expires",
}
"""The header of each of HttpMetadata."""

_RANGE_HEADER: Final = re.compile(r"\s*bytes\s*=\s*(?:(\d+)\s*-\s*(\d*)|-\s*(\d+))\s*", re.IGNORECASE)


class Metadata(msgspec.Struct, frozen=True):
    """What an object is given besides its value."""

    http: HttpMetadata = {}
    custom: Mapping[str, str] = {}
    storage_class: str = STANDARD
    customer_key: str = ""
    """Of the key that it must be read with: the MD5 in base64; empty if it needs none."""


NO_METADATA: Final = Metadata()


class R2Object(msgspec.Struct, frozen=True):
    """An object without its value. `uploaded` is in milliseconds since the epoch; `checksums` are in hexadecimal, by
    the names of HASH_BYTES; `range` is what was read: an offset and a length."""

    key: str
    version: str
    size: int
    etag: str
    uploaded: int
    metadata: Metadata
    checksums: Mapping[str, str]
    range: tuple[int, int] | None = None


class Etag(NamedTuple):
    """An etag of a condition; a wildcard has no value."""

    kind: Literal["strong", "weak", "wildcard"]
    value: str = ""


class Conditions(msgspec.Struct, frozen=True):
    """What an object must be like. Times are in milliseconds since the epoch, and compared in whole seconds if
    `in_seconds`."""

    etag_matches: Sequence[Etag] | None = None
    etag_does_not_match: Sequence[Etag] | None = None
    uploaded_before: int | None = None
    uploaded_after: int | None = None
    in_seconds: bool = False

    def hold(self, etag: str | None, uploaded: int) -> bool:
        """Whether they hold of an object; `etag` is None if there is none."""
        if etag is None:
            return self.etag_matches is None and self.uploaded_after is None
        unit = 1000 if self.in_seconds else 1
        moment = uploaded // unit
        matches = self.etag_matches is None or _has(self.etag_matches, etag, weak=False)
        differs = self.etag_does_not_match is None or not _has(self.etag_does_not_match, etag, weak=True)
        # An etag that was asked for counts more than a time, as in HTTP.
        is_after = (
            self.uploaded_after is None
            or self.uploaded_after // unit < moment
            or (self.etag_does_not_match is not None and differs)
        )
        is_before = (
            self.uploaded_before is None
            or moment < self.uploaded_before // unit
            or (self.etag_matches is not None and matches)
        )
        return matches and differs and is_after and is_before


class R2Range(msgspec.Struct, frozen=True):
    """A part of a value: `length` bytes from `offset`, to the end if that is None; or the last `suffix` bytes."""

    offset: int | None = None
    length: int | None = None
    suffix: int | None = None

    def within(self, size: int) -> tuple[int, int]:
        """The offset and the length in a value of `size` bytes. Raises R2Error."""
        if self.suffix is not None:
            if self.suffix <= 0:
                raise R2Error(errors.INVALID_RANGE)
            length = min(self.suffix, size)
            return size - length, length
        offset = self.offset or 0
        length = size - offset if self.length is None else self.length
        if offset < 0 or offset > size or length <= 0:
            raise R2Error(errors.INVALID_RANGE)
        return offset, min(length, size - offset)


def range_of_header(header: str, size: int) -> R2Range | None:
    """The range that a `Range` header asks for; None, which is all of it, if that is not one range of bytes which the
    value has."""
    found = _RANGE_HEADER.fullmatch(header)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return R2Range(suffix=int(suffix)) if int(suffix) and size else None
    start = int(first)
    end = int(last) if last else size - 1
    return None if start >= size or end < start else R2Range(start, end - start + 1)


def check_key(key: str) -> None:
    """Raises R2Error for a name that is too long."""
    if len(key.encode()) > MAX_KEY_BYTES:
        raise R2Error(errors.INVALID_KEY)


def check_metadata(metadata: Metadata) -> None:
    """Raises R2Error for metadata that is too large, or a storage class that does not exist."""
    if sum(_stored_bytes(name) + _stored_bytes(value) for name, value in metadata.custom.items()) > MAX_METADATA_BYTES:
        raise R2Error(errors.METADATA_TOO_LARGE)
    if metadata.storage_class not in STORAGE_CLASSES:
        raise R2Error(errors.INVALID_STORAGE_CLASS)


def customer_key_of(key: bytes) -> str:
    """What is kept of an object's key: its MD5 in base64. Raises ValueError for one that has not 32 bytes."""
    if len(key) != CUSTOMER_KEY_BYTES:
        raise ValueError(f"SSE-C Key must be {CUSTOMER_KEY_BYTES} bytes in length")
    return b64encode(md5(key, usedforsecurity=False).digest()).decode()


def check_customer_key(kept: str, given: str) -> None:
    """Raises R2Error for an object that cannot be read with this key, or without one."""
    if kept == given:
        return
    if not given:
        raise R2Error(errors.CUSTOMER_KEY_NEEDED)
    raise R2Error(errors.WRONG_CUSTOMER_KEY if kept else errors.CUSTOMER_KEY_NOT_NEEDED)


def check_size(size: int) -> None:
    """Raises R2Error for a single upload that is too large."""
    if size > MAX_UPLOAD_BYTES:
        raise R2Error(errors.TOO_LARGE)


def _has(wanted: Sequence[Etag], etag: str, *, weak: bool) -> bool:
    return any(each.kind == "wildcard" or (each.value == etag and (weak or each.kind == "strong")) for each in wanted)


def _stored_bytes(text: str) -> int:
    """How much room a text takes: a byte for each character, or two for each if one of them is beyond Latin-1."""
    return len(text) if all(character <= "\xff" for character in text) else len(text.encode("utf-16-le"))
