"""The module `workers` of worker code, with the same names as in production."""

from __future__ import annotations

import importlib
from typing import Any

from emulator_runtime.workers.blob import Blob, BlobEnding, File
from emulator_runtime.workers.entrypoints import DurableObject, WorkerEntrypoint, WorkflowEntrypoint, handler
from emulator_runtime.workers.env import env, patch_env, wait_until, waitUntil
from emulator_runtime.workers.fetch import fetch
from emulator_runtime.workers.formdata import FormData, FormDataValue
from emulator_runtime.workers.headers import Headers
from emulator_runtime.workers.queue import Message, MessageBatch
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import FetchResponse, Response
from emulator_runtime.workers.rpc import import_from_javascript, python_from_rpc, python_to_rpc
from emulator_runtime.workers.types import Body, Context, FetchKwargs, JSBody, RequestInitCfProperties

BlobValue = Any  # production exports it for annotations, like the names in `types`

__all__ = [
    "Blob",
    "BlobEnding",
    "BlobValue",
    "Body",
    "Context",
    "DurableObject",
    "FetchKwargs",
    "FetchResponse",
    "File",
    "FormData",
    "FormDataValue",
    "Headers",
    "JSBody",
    "Message",
    "MessageBatch",
    "Request",
    "RequestInitCfProperties",
    "Response",
    "WorkerEntrypoint",
    "WorkflowEntrypoint",
    "env",
    "fetch",
    "handler",
    "import_from_javascript",
    "patch_env",
    "python_from_rpc",
    "python_to_rpc",
    "waitUntil",
    "wait_until",
]


def __getattr__(name: str) -> Any:
    if name in ("asgi", "wsgi"):  # imported when they are used, because most workers do not need them
        return importlib.import_module(f"emulator_runtime.workers.{name}")
    raise AttributeError(f"module 'workers' has no attribute {name!r}")
