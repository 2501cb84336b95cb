"""The type of `request.headers` and `response.headers`, in a separate module because `http.client` is slow to
import."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPMessage


class HeaderMessage(HTTPMessage, Mapping):  # type: ignore[type-arg,misc]
    """An `http.client.HTTPMessage` that is also a `Mapping`, as in production. Names are case-insensitive."""
