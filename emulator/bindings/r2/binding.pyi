import builtins
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from emulator_runtime.streams import ReadableStream
from emulator_runtime.values import AttributeDict
from emulator_runtime.workers.blob import Blob
from emulator_runtime.workers.headers import Headers

class R2Checksums:
    """The checksums of an object; None for those that are not known."""

    md5: memoryview | None
    sha1: memoryview | None
    sha256: memoryview | None
    sha384: memoryview | None
    sha512: memoryview | None

    def toJSON(self) -> AttributeDict:
        """Those that are known, in hexadecimal."""

class R2Range(AttributeDict):
    """What was read."""

    offset: int
    length: int

class R2Object:
    """An object without its value."""

    key: str
    version: str
    size: int
    etag: str
    httpEtag: str
    uploaded: datetime
    storageClass: str
    ssecKeyMd5: str | None
    checksums: R2Checksums
    httpMetadata: AttributeDict | None
    customMetadata: AttributeDict | None
    range: R2Range | None

    def writeHttpMetadata(self, headers: Headers | dict[str, str]) -> None:
        """Set the headers that `httpMetadata` says."""

    def __getitem__(self, name: str) -> Any: ...

class R2ObjectBody(R2Object):
    """An object with its value, which can be read once. `body` is None if the conditions did not hold."""

    body: ReadableStream
    bodyUsed: bool

    async def arrayBuffer(self) -> memoryview: ...
    async def bytes(self) -> memoryview: ...
    async def text(self) -> str: ...
    async def json(self) -> Any: ...
    async def blob(self) -> Blob: ...

class R2Page(AttributeDict):
    """A page of objects. Where `truncated` is true, `cursor` leads to the next one."""

    objects: list[R2Object]
    truncated: bool
    cursor: str
    delimitedPrefixes: list[str]

class R2UploadedPart(AttributeDict):
    """A part of an upload."""

    partNumber: int
    etag: str

class R2MultipartUpload:
    """An upload in parts."""

    key: str
    uploadId: str

    async def uploadPart(
        self,
        number: int,
        value: str | bytes | bytearray | memoryview | Blob | ReadableStream,
        options: Mapping[str, Any] | None = None,
        /,
        *,
        ssecKey: str | bytes = ...,
    ) -> R2UploadedPart:
        """Keep a part, 1 to 10,000. All but the last one must have the same size, at least 5 MiB."""

    async def complete(self, parts: Sequence[Mapping[str, Any]]) -> R2Object:
        """Make an object of what `uploadPart` has returned."""

    async def abort(self) -> None:
        """End the upload without an object."""

class R2Bucket:
    """A bucket of R2."""

    async def head(self, key: str) -> R2Object | None:
        """An object without its value; None if there is none."""

    async def get(
        self,
        key: str,
        options: Mapping[str, Any] | None = None,
        /,
        *,
        range: Mapping[str, int] | Headers = ...,  # noqa: A002 - production's name
        onlyIf: Mapping[str, Any] | Headers = ...,
        ssecKey: str | bytes = ...,
    ) -> R2ObjectBody | None:
        """An object; None if there is none."""

    async def put(
        self,
        key: str,
        value: str | bytes | bytearray | memoryview | Blob | ReadableStream | None,
        options: Mapping[str, Any] | None = None,
        /,
        *,
        httpMetadata: Mapping[str, Any] | Headers = ...,
        customMetadata: Mapping[str, str] = ...,
        onlyIf: Mapping[str, Any] | Headers = ...,
        storageClass: Literal["Standard", "InfrequentAccess"] = ...,
        md5: str | bytes = ...,
        sha1: str | bytes = ...,
        sha256: str | bytes = ...,
        sha384: str | bytes = ...,
        sha512: str | bytes = ...,
        ssecKey: str | bytes = ...,
    ) -> R2Object | None:
        """Keep an object; None if the conditions do not hold."""

    async def delete(self, keys: str | builtins.list[str]) -> None:
        """Remove objects, up to 1,000."""

    async def list(
        self,
        options: Mapping[str, Any] | None = None,
        /,
        *,
        prefix: str = ...,
        delimiter: str = ...,
        limit: int = ...,
        cursor: str = ...,
        startAfter: str = ...,
        include: Sequence[Literal["httpMetadata", "customMetadata"]] = ...,
    ) -> R2Page:
        """A page of at most 1,000 objects, in order."""

    async def createMultipartUpload(
        self,
        key: str,
        options: Mapping[str, Any] | None = None,
        /,
        *,
        httpMetadata: Mapping[str, Any] | Headers = ...,
        customMetadata: Mapping[str, str] = ...,
        storageClass: Literal["Standard", "InfrequentAccess"] = ...,
        ssecKey: str | bytes = ...,
    ) -> R2MultipartUpload:
        """Begin an upload in parts."""

    def resumeMultipartUpload(self, key: str, uploadId: str, /) -> R2MultipartUpload:
        """An upload that was begun earlier."""
