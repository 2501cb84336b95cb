"""The type of `request.headers` and `response.headers`. A module of its own, since `http.client` is slow to import."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPMessage


class HeaderMessage(HTTPMessage, Mapping):  # type: ignore[type-arg,misc]
    """`http.client.HTTPMessage` that is a `Mapping` too, as in production. Names compare without regard to case."""
