"""Describes as data how the bindings of a JavaScript worker are configured in workerd, and the requests that they send
to the emulator.

A kind says what entry a binding has in workerd's configuration, and where it leads. `emulator.hosts.workerd` writes the
configuration, and transports requests and answers. Neither has to know the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec


class WireRequest(NamedTuple):
    """A request from a binding: an HTTP request with its whole body, or, for a service that takes streams, with
    `pieces` of it as they come; ConnectionError is raised there if the rest will not come. `target` is the path with
    the query; the names in `headers` are lowercase."""

    method: bytes
    target: str
    headers: Mapping[bytes, bytes]
    body: bytes
    pieces: AsyncIterator[bytes] | None = None


class WireResponse(NamedTuple):
    """The answer to a WireRequest. `reason` is one line of ASCII. The body is `body`, and `headers` have no
    Content-Length; or it comes in `pieces`, which are closed if nobody receives them any more, and `headers` should
    have its length if that is known."""

    body: bytes = b""
    status: int = 200
    reason: bytes = b"OK"
    headers: Sequence[tuple[bytes, bytes]] = ()
    pieces: AsyncIterator[bytes] | None = None


Answer: TypeAlias = Callable[[WireRequest], "WireResponse | Awaitable[WireResponse]"]
"""Answers a request from a binding. Returns the answer itself if it is known at once, which is faster."""


class Answered(NamedTuple):
    """A service that the emulator answers. With `takes_streams` it is asked before the body of a request has come."""

    answer: Answer
    takes_streams: bool = False


class TcpServer(NamedTuple):
    """A server that workerd itself connects to, and sends bytes as they are."""

    host: str
    port: int


class Reference(NamedTuple):
    """A placeholder for the name of one of the services in a wiring."""

    service: str = ""


class OtherWorker(NamedTuple):
    """Another JavaScript worker in the session: its default export if `entrypoint` is empty, else the export of that
    name. `props` are its `ctx.props`."""

    worker: str
    entrypoint: str = ""
    props: Mapping[str, object] | None = None


Value: TypeAlias = "str | bool | int | Reference | Mapping[str, Value] | Sequence[Value]"
"""A value of workerd's configuration: a string, a boolean, a number, the name of a service, a group or a list."""


class ExtensionModule(msgspec.Struct, frozen=True):
    """A module that workerd loads as an extension, besides those of the worker. `name` is the name that a `wrapped`
    binding uses, such as `emulator:not-emulated`, and `source` is its JavaScript. Worker code cannot import it."""

    name: str
    source: str


class Wiring(msgspec.Struct, frozen=True):
    """The configuration of one binding in workerd.

    `binding` is its entry in the worker's bindings, without the name: `{"queue": Reference()}`; empty if `env` has
    nothing. `services` are the services that it leads to, by names of the wiring's own. `worker` contains settings of
    the worker itself, such as a global outbound; lists in several wirings are joined. `modules` contain the code of
    `wrapped` bindings, and `delivery` bindings of the module of the emulator that runs handlers, by name.
    """

    name: str
    binding: Mapping[str, Value]
    services: Mapping[str, Answered | OtherWorker | TcpServer] = msgspec.field(default_factory=dict)
    worker: Mapping[str, Value] = msgspec.field(default_factory=dict)
    modules: Sequence[ExtensionModule] = ()
    delivery: Mapping[str, Reference] = msgspec.field(default_factory=dict)


def extension(name: str, module: str, source: Path, answer: Answer) -> Wiring:
    """A `wrapped` binding whose code is the file `source`, loaded as `module`: its default export gets `{ fetcher }`,
    and the emulator answers what that fetches."""
    inner: Value = [{"name": "fetcher", "service": Reference()}]
    code = ExtensionModule(module, source.read_text(encoding="utf-8"))
    wrapped: Value = {"moduleName": module, "innerBindings": inner}
    return Wiring(name, {"wrapped": wrapped}, {"": Answered(answer)}, modules=(code,))


def json_answer(value: object) -> WireResponse:
    """An answer of JSON."""
    return WireResponse(msgspec.json.encode(value), headers=((b"Content-Type", b"application/json"),))


def targets(wirings: Sequence[tuple[str, Wiring]]) -> list[tuple[str, OtherWorker]]:
    """The other workers that a worker's bindings lead to, by the name of the binding."""
    return [
        (wiring.name, service)
        for _, wiring in wirings
        for service in wiring.services.values()
        if isinstance(service, OtherWorker)
    ]
