"""Conversions at the border to the JavaScript world. There is no border here, so that they check and copy at most; and
`import_from_javascript`, which gives the modules of that world that Python workers use."""

from __future__ import annotations

from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

from emulator_runtime.errors import NotEmulated, NotEmulatedError
from emulator_runtime.values import to_record
from emulator_runtime.workers.entrypoints import DurableObject, RpcTarget, WorkerEntrypoint, WorkflowEntrypoint
from emulator_runtime.workers.env import env, waitUntil
from emulator_runtime.workers.workflows import NonRetryableError


def python_from_rpc(obj: Any) -> Any:
    """A value from elsewhere as Python has it: dicts, also nested ones, get attribute access. The rest stays."""
    return to_record(obj)


def python_to_rpc(value: Any) -> Any:
    """A value as it may leave. `TypeError` for what production cannot send: a tuple, a bytearray, an awaitable."""
    _check(value)
    return to_record(value)


def _check(value: Any) -> None:
    if isinstance(value, (tuple, bytearray)):
        raise TypeError(f"{type(value)} cannot be sent over RPC.")
    if isinstance(value, Awaitable):
        raise TypeError(f"Awaitable {type(value)} cannot be sent over RPC.")
    if isinstance(value, dict):
        for item in value.values():
            _check(item)
    elif isinstance(value, (list, set, frozenset)):
        for item in value:
            _check(item)


def import_from_javascript(module_name: str) -> Any:
    """A module of the JavaScript world: `cloudflare:workers`. `NotEmulatedError` for any other."""
    if module_name != "cloudflare:workers":
        raise NotEmulatedError.of(
            f"the module {module_name!r}", "import_from_javascript gives 'cloudflare:workers' only"
        )
    return SimpleNamespace(
        env=env,
        waitUntil=waitUntil,
        WorkerEntrypoint=WorkerEntrypoint,
        DurableObject=DurableObject,
        WorkflowEntrypoint=WorkflowEntrypoint,
        RpcTarget=RpcTarget,
        NonRetryableError=NonRetryableError,
        exports=NotEmulated("exports of cloudflare:workers"),
    )
