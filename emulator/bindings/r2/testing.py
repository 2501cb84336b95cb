"""How tests reach an R2 bucket: `emulator.r2("BUCKET")`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from emulator.base.coroutines import run_now
from emulator.base.errors import EmulatorError
from emulator.bindings.kit import Accessor, Faulty, Kit
from emulator.bindings.r2.config import KIND

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping

    from emulator.bindings.r2.bucket import R2Bucket
    from emulator.bindings.r2.kind import OpenR2
    from emulator.bindings.r2.objects import R2Object

    class R2Access:
        """The type of what `Emulator` has for R2."""

        def r2(self, name: str) -> R2:
            """A bucket, by the name of a binding or by its own. Raises EmulatorError, which names those there are."""
            raise NotImplementedError

    class AsyncR2Access:
        """The type of what `AsyncEmulator` has for R2."""

        def r2(self, name: str) -> AsyncR2:
            """A bucket, by the name of a binding or by its own. Raises EmulatorError, which names those there are."""
            raise NotImplementedError


class _BaseR2(Faulty):
    """What a test can do with a bucket without running anything."""

    def __init__(self, kit: Kit, name: str) -> None:
        __tracebackhide__ = True
        self._kit = kit
        self.name = name
        self._open = cast("OpenR2", kit.open_kind(KIND))
        bucket = self._open.bound.get(name, name)
        if bucket not in self._open.buckets():
            there = ", ".join(sorted(self._open.bound)) or "none"
            raise EmulatorError(f"there is no R2 bucket {name!r}; the bindings are: {there}")
        self._bucket: R2Bucket = self._open.bucket(bucket)
        self._faults, self._target = self._open.faults, bucket

    def _refusal(self) -> Exception:
        from emulator.bindings.r2 import errors

        return errors.R2Error(errors.INTERNAL)

    def __repr__(self) -> str:
        return f"<R2 {self.name}>"

    def _get_bytes(self, key: str) -> bytes | None:
        self._kit.check_open()
        found = self._bucket.head(key)
        got = None if found is None else self._bucket.get(key, customer_key=found.metadata.customer_key)
        if got is None:
            return None
        value = got[1]
        assert value is not None

        async def whole() -> bytes:
            return b"".join([piece async for piece in value])

        return run_now(whole())

    def _get(self, key: str) -> str | None:
        value = self._get_bytes(key)
        return None if value is None else value.decode("utf-8", "replace")

    def _get_json(self, key: str) -> Any:
        value = self._get_bytes(key)
        return None if value is None else json.loads(value)

    def _head(self, key: str) -> R2Object | None:
        self._kit.check_open()
        return self._bucket.head(key)

    def _put(
        self, key: str, value: Any, http_metadata: Mapping[str, str] | None, custom_metadata: Mapping[str, str] | None
    ) -> R2Object:
        from emulator.bindings.r2.objects import Metadata

        self._kit.check_open()
        content = (
            value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
        )
        made = run_now(self._bucket.put(key, content, Metadata(http_metadata or {}, custom_metadata or {})))
        assert made is not None
        return made

    def _delete(self, keys: tuple[str, ...]) -> None:
        self._kit.check_open()
        self._bucket.delete(keys)

    def _list(self, prefix: str) -> list[R2Object]:
        self._kit.check_open()
        found: list[R2Object] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self._bucket.list(prefix=prefix, cursor=cursor)
            found += page.objects
            cursor = page.cursor
        return found


class R2(_BaseR2):
    """A bucket as a test uses it."""

    def get(self, key: str) -> str | None:
        """The value of an object as text; None if there is none."""
        __tracebackhide__ = True
        return self._get(key)

    def get_bytes(self, key: str) -> bytes | None:
        """The value of an object; None if there is none."""
        __tracebackhide__ = True
        return self._get_bytes(key)

    def get_json(self, key: str) -> Any:
        """What the value of an object says as JSON; None if there is none."""
        __tracebackhide__ = True
        return self._get_json(key)

    def head(self, key: str) -> R2Object | None:
        """An object without its value; None if there is none."""
        __tracebackhide__ = True
        return self._head(key)

    def put(
        self,
        key: str,
        value: Any,
        *,
        http_metadata: Mapping[str, str] | None = None,
        custom_metadata: Mapping[str, str] | None = None,
    ) -> R2Object:
        """Keep text, bytes, or anything else as JSON; `http_metadata` such as `{"contentType": "image/png"}`."""
        __tracebackhide__ = True
        return self._put(key, value, http_metadata, custom_metadata)

    def delete(self, *keys: str) -> None:
        """Remove objects."""
        __tracebackhide__ = True
        self._delete(keys)

    def list(self, prefix: str = "") -> list[R2Object]:
        """All objects whose keys begin with `prefix`, in order."""
        __tracebackhide__ = True
        return self._list(prefix)


class AsyncR2(_BaseR2):
    """A bucket as an async test uses it."""

    async def get(self, key: str) -> str | None:
        """The value of an object as text; None if there is none."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._get, key)

    async def get_bytes(self, key: str) -> bytes | None:
        """The value of an object; None if there is none."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._get_bytes, key)

    async def get_json(self, key: str) -> Any:
        """What the value of an object says as JSON; None if there is none."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._get_json, key)

    async def head(self, key: str) -> R2Object | None:
        """An object without its value; None if there is none."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._head, key)

    async def put(
        self,
        key: str,
        value: Any,
        *,
        http_metadata: Mapping[str, str] | None = None,
        custom_metadata: Mapping[str, str] | None = None,
    ) -> R2Object:
        """Keep text, bytes, or anything else as JSON; `http_metadata` such as `{"contentType": "image/png"}`."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._put, key, value, http_metadata, custom_metadata)

    async def delete(self, *keys: str) -> None:
        """Remove objects."""
        __tracebackhide__ = True
        await self._kit.on_thread(self._delete, keys)

    async def list(self, prefix: str = "") -> builtins.list[R2Object]:
        """All objects whose keys begin with `prefix`, in order."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._list, prefix)


ACCESSOR: Final = Accessor("r2", R2, AsyncR2)
