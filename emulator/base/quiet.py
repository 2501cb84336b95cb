"""Keeps the emulator's own requests out of the logs of its users, who see their own use of httpx."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    import httpx

C = TypeVar("C", bound="httpx.Client | httpx.AsyncClient")

_SENDS: Final = "_send_single_request"
"""The method of a client that logs a request."""

_own: Final[WeakSet[object]] = WeakSet()


def quiet(client: C) -> C:
    """`client`, whose requests are not logged from now on."""
    _own.add(client)
    logging.getLogger("httpx").addFilter(_is_foreign)
    return client


def _is_foreign(_record: logging.LogRecord) -> bool:
    frame = sys._getframe()  # noqa: SLF001 - the documented way to the caller
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == _SENDS:
            return frame.f_locals.get("self") not in _own
    return True
