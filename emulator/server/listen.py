"""The sockets that the server listens on, which are opened before anything is loaded."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from emulator.base.errors import ServerError
from emulator.base.words import reason


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on `host` and `port`. Port 0 picks a free one, the same for every address of the host.

    Raises ServerError if the port is in use (and names one that is free), if it needs more privileges, or if `host` is
    not an address of this machine.
    """
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
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise _cannot_listen(host, port, error) from None
    return sockets


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


def _cannot_listen(host: str, port: int, error: OSError) -> ServerError:
    if error.errno == errno.EADDRINUSE:
        free = _free_port(host, port)
        return ServerError(f"Port {port} is in use on {host}; port {free} is free: use -p {free}, or -p 0 for any")
    if error.errno == errno.EACCES:
        return ServerError(f"Port {port} needs root privileges; choose a port above 1023 with -p")
    if error.errno == errno.EADDRNOTAVAIL:
        return ServerError(f"{host!r} is not an address of this machine")
    return ServerError(f"Cannot listen on {host}:{port}: {reason(error)}")


def _free_port(host: str, port: int) -> int:
    """The next free port above `port`, or any free port."""
    for candidate in [*range(port + 1, min(port + 50, 65_536)), 0]:
        with suppress(OSError):
            family, kind, protocol, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            with _bind(family, kind, protocol, address) as listener:
                return int(listener.getsockname()[1])
    return 0
