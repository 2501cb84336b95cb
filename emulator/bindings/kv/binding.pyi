import builtins
from collections.abc import Mapping
from typing import Any, Literal, overload

from emulator_runtime.streams import ReadableStream
from emulator_runtime.values import AttributeDict

class KvKey(AttributeDict):
    """A key of a list."""

    name: str
    expiration: int
    metadata: Any

class KvPage(AttributeDict):
    """A page of keys. Where `list_complete` is false, `cursor` leads to the next one."""

    keys: builtins.list[KvKey]  # type: ignore[assignment]
    list_complete: bool
    cursor: str
    cacheStatus: None

class KvValue(AttributeDict):
    """A value with its metadata."""

    value: Any
    metadata: Any
    cacheStatus: None

class KvNamespace:
    """A namespace of Workers KV."""

    @overload
    async def get(self, key: str, /, *, cacheTtl: int = ...) -> str | None: ...
    @overload
    async def get(self, key: str, options: Literal["text"], /) -> str | None: ...
    @overload
    async def get(self, key: str, options: Literal["stream"], /) -> ReadableStream | None: ...
    @overload
    async def get(self, key: str, options: Literal["arrayBuffer"], /) -> memoryview | None: ...
    @overload
    async def get(self, key: str, options: str | Mapping[str, Any] | None = None, /, **keywords: Any) -> Any:
        """The value of a key; None if there is none. `type` is text, json, arrayBuffer or stream."""
    @overload
    async def get(
        self, key: builtins.list[str], options: str | Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> dict[str, Any]:
        """The values of several keys."""

    async def getWithMetadata(
        self,
        key: str,
        options: str | Mapping[str, Any] | None = None,
        /,
        **keywords: Any,
    ) -> KvValue:
        """The value of a key with its metadata."""

    async def put(
        self,
        key: str,
        value: str | bytes | bytearray | memoryview | ReadableStream,
        options: Mapping[str, Any] | None = None,
        /,
        *,
        expiration: int = ...,
        expirationTtl: int = ...,
        metadata: Any = ...,
    ) -> None:
        """Keep a value; `expirationTtl` is in seconds from now, at least 60."""

    async def delete(self, key: str) -> None:
        """Remove a key."""

    async def list(
        self,
        options: Mapping[str, Any] | None = None,
        /,
        *,
        prefix: str = ...,
        limit: int = ...,
        cursor: str = ...,
    ) -> KvPage:
        """A page of at most 1,000 keys, in order."""
