"""Conversions between Python and JavaScript, and `import_from_javascript`. Here nearly all values are Python's, so
the conversions mostly check and copy."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from emulator_runtime.buffers import JsBuffer
from emulator_runtime.errors import JsException, NotEmulated, NotEmulatedError, no_attribute
from emulator_runtime.values import AttributeDict, to_attribute_dict
from emulator_runtime.workers.blob import Blob, File
from emulator_runtime.workers.email import EmailMessage
from emulator_runtime.workers.entrypoints import DurableObject, RpcTarget, WorkerEntrypoint, WorkflowEntrypoint
from emulator_runtime.workers.env import env, waitUntil
from emulator_runtime.workers.fetch import fetch
from emulator_runtime.workers.formdata import FormData
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import Response
from emulator_runtime.workers.workflows import NonRetryableError

__all__ = [
    "Blob",
    "File",
    "FormData",
    "JsDict",
    "Request",
    "Response",
    "fetch",
    "import_from_javascript",
    "python_from_rpc",
    "python_to_rpc",
]

JsDict = AttributeDict


def python_from_rpc(obj: Any) -> Any:
    """Convert a value from JavaScript: the keys of dicts, also nested ones, become attributes, and values of `js` what
    Python has for them. Other values stay the same."""
    return to_attribute_dict(_from_js(obj))


def _from_js(value: Any) -> Any:
    if isinstance(value, (str, int, float, bytes, type(None))):
        return value
    if type(value) is dict or isinstance(value, AttributeDict):
        return {key: _from_js(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_js(item) for item in value]
    from emulator_runtime.js.collections import Map, Set
    from emulator_runtime.js.date import Date
    from emulator_runtime.js.errors import Error

    if isinstance(value, Date):
        return value.to_py().replace(tzinfo=None)
    if isinstance(value, Error):
        return Exception(value.toString())
    if isinstance(value, JsBuffer):
        return value.to_memoryview()
    if isinstance(value, (Map, Set)):
        return value.to_py()
    return value


def python_to_rpc(value: Any) -> Any:
    """Convert a value for JavaScript. Raises `TypeError` for what production cannot send: a tuple, a bytearray, an
    awaitable, a `RegExp`."""
    return to_attribute_dict(_to_js(value))


def _to_js(value: Any) -> Any:
    if isinstance(value, (str, int, float, bytes, type(None))):
        return value
    if isinstance(value, (tuple, bytearray)):
        raise TypeError(f"{type(value)} cannot be sent over RPC.")
    if isinstance(value, Awaitable):
        raise TypeError(f"Awaitable {type(value)} cannot be sent over RPC.")
    if type(value) is dict or isinstance(value, AttributeDict):
        return {key: _to_js(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_js(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return {_to_js(item) for item in value}
    from emulator_runtime.js.date import Date
    from emulator_runtime.js.errors import Error
    from emulator_runtime.js.regexp import RegExp

    if isinstance(value, RegExp):
        raise TypeError("RegExp cannot be sent over RPC.")
    if isinstance(value, datetime):
        return Date(value)
    if isinstance(value, Exception) and not isinstance(value, JsException):
        return Error(str(value))
    return getattr(value, "js_object", value)


def import_from_javascript(module_name: str) -> Any:
    """The JavaScript module `cloudflare:workers` or `cloudflare:email`. Raises `NotEmulatedError` for other modules."""
    if module_name == "cloudflare:email":
        return SimpleNamespace(EmailMessage=EmailMessage)
    if module_name != "cloudflare:workers":
        text = "import_from_javascript supports only 'cloudflare:workers' and 'cloudflare:email'"
        raise NotEmulatedError.of(f"the module {module_name!r}", text)
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


__getattr__ = no_attribute("workers.rpc")
