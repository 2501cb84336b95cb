"""Lets a worker see requests as if they were sent to where production serves it, as wrangler dev does, and the client
its answers as if they came from here.

A request to this machine, by name or address, gets the origin of the worker's configuration in its URL and `Host`, and
in headers that name this server, such as `Origin`. In the answer it is the other way round: a redirect leads to this
server. A request to another name keeps it, as in production.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from emulator.server.asgi import ANSWER, Scope, Send
from emulator.server.hostname import host_header, is_address, is_local, split_host
from emulator_runtime.hosting import RawHeaders


def seen_at(origin: str, scope: Scope) -> Scope:
    """The scope of a request to `scope` as the worker sees it, which may be `scope` itself. `origin` is a scheme and a
    host: `http://shop.example.com`."""
    host = host_header(scope)
    if not _is_here(split_host(host)):
        return scope
    translated = _Translation(f"{scope.get('scheme', 'http')}://{host}", origin)
    seen = {**scope, "scheme": origin.partition(":")[0], "headers": translated.headers(scope["headers"])}
    seen.pop(ANSWER, None)  # which sends headers as they are
    return seen


def answered_here(origin: str, scope: Scope, send: Send) -> Send:
    """What sends the answer of a worker that saw `seen_at(origin, scope)`."""
    host = host_header(scope)
    if not _is_here(split_host(host)):
        return send
    translated = _Translation(origin, f"{scope.get('scheme', 'http')}://{host}")

    async def send_translated(message: Any) -> None:
        if "headers" in message:
            message = {**message, "headers": translated.headers(message["headers"])}
        await send(message)

    return send_translated


class _Translation:
    """Puts one origin in the place of another. What merely contains its host, such as a name below it, stays."""

    def __init__(self, old: str, new: str) -> None:
        self._old = old.partition("://")[2].encode("latin-1")
        self._new = new.encode("latin-1")
        self._host = self._new.partition(b"://")[2]
        self._pattern = _occurrence(self._old)
        self._domain = f"Domain={split_host(self._host.decode('latin-1'))}".encode("latin-1")
        self._old_domain = _domain(split_host(self._old.decode("latin-1")))

    def headers(self, raw: RawHeaders) -> RawHeaders:
        """Headers with the new origin."""
        return [(name, self._value(name, value) if self._old in value else value) for name, value in raw]

    def _value(self, name: bytes, value: bytes) -> bytes:
        if name == b"set-cookie":
            return self._old_domain.sub(self._domain, value)
        return self._pattern.sub(lambda match: self._new if match[1] else self._host, value)


@lru_cache(maxsize=64)
def _occurrence(host: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(https?://)?(?<![\w.-])" + re.escape(host) + rb"(?![\w.:-])")


@lru_cache(maxsize=64)
def _domain(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?i)Domain=" + re.escape(name.encode("latin-1")) + rb"(?=$|;|,)")


@lru_cache(maxsize=64)
def _is_here(name: str) -> bool:
    """Whether a `Host` means this machine, by name, or a machine by its address: then nobody has chosen it."""
    return is_local(name) or is_address(name)
