"""The classes that a worker's entrypoints derive from, and `@handler`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from emulator_runtime.errors import NotEmulatedError
from emulator_runtime.invocation import Context

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class WorkerEntrypoint:
    """Base of a worker's entrypoint; the one named `Default` handles events. It is made anew for each event."""

    ctx: Context
    env: Any

    def __init__(self, ctx: Context, env: Any) -> None:
        self.ctx = ctx
        self.env = env


class _NotEmulatedEntrypoint:
    """A worker may declare such a class; making an instance of it says what is missing."""

    _product = ""
    ctx: Any
    env: Any

    def __init__(self, *_arguments: Any) -> None:
        raise NotEmulatedError.of(f"{self._product} ({type(self).__name__})")


class DurableObject(_NotEmulatedEntrypoint):
    """Base of a Durable Object. Deriving from it works; Durable Objects are not emulated yet."""

    _product = "Durable Objects"


class WorkflowEntrypoint(_NotEmulatedEntrypoint):
    """Base of a Workflow. Deriving from it works; Workflows are not emulated yet."""

    _product = "Workflows"


class RpcTarget(_NotEmulatedEntrypoint):
    """Base of an object that is passed by reference between workers, which is not emulated yet."""

    _product = "RPC"


def handler(func: _Handler) -> _Handler:
    """Marks a handler of the older form, `on_fetch` and its like. Production converts its arguments to Python objects;
    here they are that already, so that nothing has to be done."""
    return func
