"""`workers.env`, `workers.wait_until` and `patch_env`: access to the running invocation without a handler's
arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from emulator_runtime import invocation

_patches: ContextVar[dict[str, Any] | None] = ContextVar("emulator_env_patches", default=None)


class EnvProxy:
    """The bindings of the worker that is running. It can be imported before a worker runs."""

    __slots__ = ()

    def _target(self) -> Any:
        return invocation.require_current("workers.env").scope.env

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # the import system, copy and inspect look these up
        patches = _patches.get()
        if patches is not None and name in patches:
            return patches[name]
        return getattr(self._target(), name)

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(str(error)) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and hasattr(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._target()), *(_patches.get() or ())})

    def __repr__(self) -> str:
        running = invocation.current.get(None)
        return "<env, outside any invocation>" if running is None else repr(running.scope.env)


env = EnvProxy()


def wait_until(awaitable: Awaitable[Any]) -> None:
    """Let `awaitable` finish after the handler has returned, like `ctx.waitUntil`."""
    invocation.require_current("wait_until()").context.waitUntil(awaitable)


waitUntil = wait_until  # noqa: N816 - production has both names


@contextmanager
def patch_env(d: dict[str, Any] | Sequence[tuple[str, Any]] | None = None, **kwds: Any) -> Iterator[None]:
    """`with patch_env(NAME="value"):` changes `workers.env` for the block and the code that it calls."""
    token = _patches.set({**(_patches.get() or {}), **dict(d or {}), **kwds})
    try:
        yield
    finally:
        _patches.reset(token)
