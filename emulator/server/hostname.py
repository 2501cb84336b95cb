"""Host names, and which of them mean this machine."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from emulator_runtime.hosting import find_header

if TYPE_CHECKING:
    from emulator.server.asgi import Scope


def split_host(host: str) -> str:
    """The name or address in a `Host` header, without the port and the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def host_header(scope: Scope) -> str:
    """The `Host` header of a request; empty without one."""
    return (find_header(scope["headers"], b"host") or b"").decode("latin-1")


def is_within_this_machine(scope: Scope) -> bool:
    """Whether a request was sent on this machine, to a name that can only mean it: not from another machine, and not
    through a tunnel or a proxy that ends here."""
    client = scope.get("client")
    return client is not None and is_local(client[0]) and is_local(split_host(host_header(scope)))


def may_mean(name: str, bound: str) -> bool:
    """Whether a request with the `Host` `name` can only be meant for a server that is bound to `bound`.

    A foreign web page can make a name of its own resolve to this machine, but not an address. So a server that is bound
    to every address accepts any address.
    """
    if is_local(name) or name.lower() == bound.lower():
        return True
    return is_address(bound) and ip_address(bound).is_unspecified and is_address(name)


def is_address(name: str) -> bool:
    """Whether `name` is an IP address, and not a name."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_local(name: str) -> bool:
    """Whether `name` can only mean this machine: `localhost`, a name below it, or a loopback address."""
    lowered = name.lower().rstrip(".")
    if lowered == "localhost" or lowered.endswith(".localhost"):
        return True
    try:
        return ip_address(lowered).is_loopback
    except ValueError:
        return False
