"""Conversions between Python and JavaScript, and `import_from_javascript`. Here all values are Python's, so the
conversions only check and copy."""

from __future__ import annotations

from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

from emulator_runtime.errors import NotEmulated, NotEmulatedError
from emulator_runtime.values import to_attribute_dict
from emulator_runtime.workers.entrypoints import DurableObject, RpcTarget, WorkerEntrypoint, WorkflowEntrypoint
from emulator_runtime.workers.env import env, waitUntil
from emulator_runtime.workers.workflows import NonRetryableError


def python_from_rpc(obj: Any) -> Any:
    """Convert a value from JavaScript: the keys of dicts, also nested ones, become attributes. Other values stay the
    same."""
    return to_attribute_dict(obj)


def python_to_rpc(value: Any) -> Any:
    """Convert a value for JavaScript. Raises `TypeError` for what production cannot send: a tuple, a bytearray, an
    awaitable."""
    _check(value)
    return to_attribute_dict(value)


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
    """The JavaScript module `cloudflare:workers`. Raises `NotEmulatedError` for other modules."""
    if module_name != "cloudflare:workers":
        raise NotEmulatedError.of(
            f"the module {module_name!r}", "import_from_javascript supports only 'cloudflare:workers'"
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
