"""What workerd is told about the bindings of a JavaScript worker, as data, and what they ask in return.

A kind says which entry a binding is in workerd's configuration, and where it leads; `emulator.hosts.workerd` makes text
of it, and carries requests and answers. Neither has to know the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias


class WireRequest(NamedTuple):
    """What a binding asks: an HTTP request, with its whole body. `target` is the path with the query, the names of
    `headers` are in lowercase."""

    method: bytes
    target: str
    headers: Mapping[bytes, bytes]
    body: bytes


class WireResponse(NamedTuple):
    """What it is answered. `headers` have no Content-Length, and `reason` is one line of ASCII."""

    body: bytes = b""
    status: int = 200
    reason: bytes = b"OK"
    headers: Sequence[tuple[bytes, bytes]] = ()


Answer: TypeAlias = Callable[[WireRequest], "WireResponse | Awaitable[WireResponse]"]
"""Answers what a binding asks. What is there at once is returned as it is, which is the shorter way."""


class Answered(NamedTuple):
    """A service that the emulator answers."""

    answer: Answer


class Reference(NamedTuple):
    """Stands in a wiring for the name of one of its services."""

    service: str = ""


class OtherWorker(NamedTuple):
    """A service that another JavaScript worker of the session answers: its default export (an empty `entrypoint`), or
    what it exports under a name."""

    worker: str
    entrypoint: str = ""


Value: TypeAlias = "str | bool | int | Reference | Mapping[str, Value] | Sequence[Value]"
"""A value of workerd's configuration: a string, a boolean, a number, the name of a service, a group or a list."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module that workerd gets beside those of the worker, as an extension: `name` is what a `wrapped` binding calls
    it, `emulator:not-emulated`, and `source` its JavaScript. Worker code cannot import it."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Wiring:
    """What workerd is told about one binding.

    `binding` is its entry in the bindings of the worker, without the name: `{"queue": Reference()}`; empty where `env`
    holds nothing. `services` are where it leads, under names of its own. `worker` are settings of the worker itself,
    such as a global outbound; lists of several wirings are put together. `modules` are what `wrapped` bindings run.
    """

    name: str
    binding: Mapping[str, Value]
    services: Mapping[str, Answered | OtherWorker] = field(default_factory=dict)
    worker: Mapping[str, Value] = field(default_factory=dict)
    modules: Sequence[Module] = ()


def targets(wirings: Sequence[tuple[str, Wiring]]) -> list[tuple[str, OtherWorker]]:
    """The other workers that a worker's bindings lead to, each with the name of the binding."""
    return [
        (wiring.name, service)
        for _, wiring in wirings
        for service in wiring.services.values()
        if isinstance(service, OtherWorker)
    ]
