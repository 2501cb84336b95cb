"""The base classes of a worker's entrypoints, and `@handler`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from emulator_runtime.errors import NotEmulatedError, no_attribute
from emulator_runtime.invocation import Context

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class WorkerEntrypoint:
    """Base of a worker's entrypoint; the one named `Default` handles events. Each event gets a new instance."""

    ctx: Context
    env: Any

    def __init__(self, ctx: Context, env: Any) -> None:
        self.ctx = ctx
        self.env = env


class _NotEmulatedEntrypoint:
    """Base of the classes that a worker may define, but whose instances are not emulated yet."""

    _product = ""
    ctx: Any
    env: Any

    def __init__(self, *_arguments: Any) -> None:
        raise NotEmulatedError.of(f"{self._product} ({type(self).__name__})")


class DurableObject(_NotEmulatedEntrypoint):
    """Base of a Durable Object. A worker can define subclasses, but Durable Objects are not emulated yet."""

    _product = "Durable Objects"


class DurableObjectContext(_NotEmulatedEntrypoint):
    """The `ctx` of a Durable Object, which is not emulated yet."""

    _product = "Durable Objects"


class DurableObjectAbort(BaseException):
    """What `abort()` of a Durable Object raises. Nothing raises it yet."""


class WorkflowEntrypoint(_NotEmulatedEntrypoint):
    """Base of a Workflow. A worker can define subclasses, but Workflows are not emulated yet."""

    _product = "Workflows"


class RpcTarget(_NotEmulatedEntrypoint):
    """Base of objects that are passed by reference between workers, which is not emulated yet."""

    _product = "RPC"


def handler(func: _Handler) -> _Handler:
    """Marks a handler in the older form, such as `on_fetch`. Production converts its arguments to Python objects; here
    they are Python objects already, so this does nothing."""
    return func


__getattr__ = no_attribute("workers.entrypoints")
