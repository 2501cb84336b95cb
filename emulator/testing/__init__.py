"""Integration tests of workers, in this process and in virtual time.

`Emulator` and `AsyncEmulator` run workers on the same session, queues, hosts and gateway as `emulator dev`. With
pytest, the fixture `emulator` is there without an import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.bindings.queue.kit_values import (
        Delivery,
        Message,
        Metrics,
        QueueResult,
        RetryBatch,
        RetryMessage,
        message,
    )
    from emulator.testing.chaos import Chaos
    from emulator.testing.emulators import AsyncEmulator, Emulator
    from emulator.testing.outbound import Outbound, OutboundCall
    from emulator.testing.websocket import WebSocketClosed, WebSocketRefused
    from emulator_runtime.hosting import Response

__all__ = [
    "AsyncEmulator",
    "Chaos",
    "Delivery",
    "Emulator",
    "Message",
    "Metrics",
    "Outbound",
    "OutboundCall",
    "QueueResult",
    "Response",
    "RetryBatch",
    "RetryMessage",
    "WebSocketClosed",
    "WebSocketRefused",
    "message",
]

_VALUES = "emulator.bindings.queue.kit_values"
_MODULES = {
    "AsyncEmulator": f"{__name__}.emulators",
    "Chaos": f"{__name__}.chaos",
    "Emulator": f"{__name__}.emulators",
    "Outbound": f"{__name__}.outbound",
    "OutboundCall": f"{__name__}.outbound",
    "Response": f"{__name__}.outbound",
    "WebSocketClosed": f"{__name__}.websocket",
    "WebSocketRefused": f"{__name__}.websocket",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that a test run that does not use the kit does not pay for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES.get(name, _VALUES)), name)
