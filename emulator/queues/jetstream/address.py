"""The address of a NATS server, as it is given on the command line."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from emulator.base.errors import EmulatorError

EXAMPLE: Final = "nats://localhost:4222"
DEFAULT_PORT: Final = 4222
DEFAULT_PREFIX: Final = "emulator"
SCHEMES: Final = ("nats", "tls")
REPLICAS: Final = (1, 3, 5)
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_OPTIONS: Final = ("prefix", "replicas", "creds", "nkey")


class Address(msgspec.Struct, frozen=True):
    """Where the servers are, and how to be let in.

    `servers` are URLs without credentials. `prefix` is the beginning of all names on the server: sessions with the same
    prefix share their queues. `replicas` is how many servers of a cluster keep each message. Of the credentials, one
    kind at most is given: `user` with `password`, `token`, the file `creds`, or the file `nkey` with a seed.
    """

    servers: tuple[str, ...]
    prefix: str = DEFAULT_PREFIX
    replicas: int = 1
    user: str = ""
    password: str = ""
    token: str = ""
    creds: str = ""
    nkey: str = ""

    def __str__(self) -> str:
        """The servers, for people: no secrets."""
        return ",".join(self.servers)


def read_address(text: str) -> Address:
    """The address in `nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][,HOST[:PORT]...][?prefix=...&replicas=...&creds=...]`.
    Raises EmulatorError, in one sentence."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in SCHEMES:
        raise _wrong(text, f"it must begin with nats:// or tls://, such as {EXAMPLE}")
    places, _, query = rest.partition("?")
    options = _options(text, query)
    first, *others = [urlsplit(f"{scheme}://{place}") for place in places.rstrip("/").split(",")]
    servers = tuple(_server(text, each) for each in (first, *others))
    user, password = unquote(first.username or ""), unquote(first.password or "")
    prefix = options.get("prefix", DEFAULT_PREFIX)
    if not _PREFIX.fullmatch(prefix):
        raise _wrong(text, f"prefix is {prefix!r}; it must be 1 to 32 letters, digits, hyphens or underscores")
    replicas = options.get("replicas", "1")
    if replicas not in map(str, REPLICAS):
        raise _wrong(text, f"replicas is {replicas!r}; it must be 1, 3 or 5, the number of servers that keep a message")
    return Address(
        servers,
        prefix,
        int(replicas),
        user if password else "",
        password,
        "" if password else user,
        options.get("creds", ""),
        options.get("nkey", ""),
    )


def _options(text: str, query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS:
            raise _wrong(text, f"it has no option {name}; there are {', '.join(_OPTIONS)}")
    return options


def _server(text: str, place: SplitResult) -> str:
    try:
        host, port = place.hostname, place.port or DEFAULT_PORT
    except ValueError:
        raise _wrong(text, "a port must be a number up to 65535") from None
    if not host or place.path:
        raise _wrong(text, f"it must name a host, such as {EXAMPLE}")
    return f"{place.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _wrong(text: str, why: str) -> EmulatorError:
    shown = re.sub(r"//[^@/]*@", "//...@", text)
    return EmulatorError(f"the queue engine {shown!r} cannot be used: {why}")
