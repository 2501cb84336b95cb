"""The sockets that the server listens on, which are opened before anything is loaded."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import Final

from emulator.base.errors import ServerError
from emulator.base.words import reason

PORT_OPTION: Final = "-p"

_DOCUMENTATION: Final = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}
"""Each address that means every address, and one of its family that is nobody's."""


def listen(host: str, port: int, *, or_next: bool = False, option: str = PORT_OPTION) -> list[socket.socket]:
    """Sockets that listen on `host` and `port`. Port 0 picks a free one, the same for every address of the host.
    `option` is the one with which a user chooses another port.

    If the port is in use, `or_next` takes the next one that is free. Raises ServerError if the port is in use (and
    names one that is free), if it needs more privileges, or if `host` is not an address of this machine.
    """
    try:
        return _open(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sockets = _open_next(host, port)
            if or_next and sockets:
                return sockets
            free = sockets[0].getsockname()[1] if sockets else 0
            for each in sockets:
                each.close()
            raise _in_use(host, port, free, option) from None
        raise _cannot_listen(host, port, error, option) from None


def network_address(host: str) -> str:
    """The address by which other machines reach a server on `host`, if that is every address; otherwise, and without
    a network, empty."""
    if host not in _DOCUMENTATION:
        return ""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_DOCUMENTATION[host], 9))  # sends nothing: it chooses the address to send from
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def _open(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address of the host. Raises OSError, and ServerError for a host that does not exist."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ServerError(f"{host!r} is not a host name or address of this machine ({error})") from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound_port = sockets[0].getsockname()[1] if sockets and port == 0 else port
            try:
                sockets.append(_bind(family, kind, protocol, (address[0], bound_port, *address[2:])))
            except OSError as error:
                # A name such as localhost may have an IPv6 address on a machine where IPv6 is disabled.
                if sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    continue
                raise
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _open_next(host: str, port: int) -> list[socket.socket]:
    """Sockets on the next free port above `port`, or on any free port; none if there is none."""
    for candidate in [*range(port + 1, min(port + 50, 65_536)), 0]:
        with suppress(OSError):
            return _open(host, candidate)
    return []


def _bind(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _in_use(host: str, port: int, free: int, option: str) -> ServerError:
    """`make` passes a port on as a variable, so there the advice names that."""
    option = "PORT=" if option == PORT_OPTION and os.environ.get("MAKELEVEL") else f"{option} "
    there = f"port {free} is free: use {option}{free}" if free else f"use another one with {option}PORT"
    return ServerError(f"Port {port} is in use on {host}; {there}, or {option}0 for any")


def _cannot_listen(host: str, port: int, error: OSError, option: str) -> ServerError:
    if error.errno == errno.EACCES:
        return ServerError(f"Port {port} needs root privileges; choose a port above 1023 with {option}")
    if error.errno == errno.EADDRNOTAVAIL:
        return ServerError(f"{host!r} is not an address of this machine")
    return ServerError(f"Cannot listen on {host}:{port}: {reason(error)}")
