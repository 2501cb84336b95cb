"""The kind: `counters: [{binding, start}]`. Workers of a session that name a counter share it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from emulator.base.errors import Problem
from emulator.base.ranges import Range
from emulator.bindings.kind import BindingKind, OpenKind, Overview, Resources
from emulator.bindings.kit import Accessor, Kit
from emulator.bindings.rest import ApiError, ApiErrorCode, Call, Page, Rest, Route, SessionView
from emulator.bindings.wiring import Answered, ExtensionModule, Reference, WireRequest, WireResponse, Wiring
from emulator.config import checks
from emulator.config.document import problem_at
from emulator.config.model import WorkerConfig
from emulator.config.section import Key, Section

COUNTER_KEYS: Final = {"binding": checks.BINDING, "start": checks.whole(Range(0, 1_000))}


class Settings(NamedTuple):
    """Where a counter begins."""

    start: int = 0


class Counters(OpenKind[Settings]):
    """The counters of a session, by name, each with the value that it gives next."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.values: dict[str, int] = {}
        self.is_closed = False

    def next(self, worker: str, name: str, settings: Settings) -> int:
        value = self.values.get(name, settings.start)
        self.values[name] = value + 1
        if value == 13:
            self.resources.warn(worker, f"env.{name} counted to {value}")
        return value

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, Settings]) -> Mapping[str, object]:
        return {name: Counter(partial(self.next, worker.name, name, each)) for name, each in bindings.items()}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, Settings]) -> Iterator[Wiring]:
        source = (Path(__file__).parent / "counter.js").read_text()
        for name, settings in bindings.items():
            fetcher = {"name": "fetcher", "service": Reference()}
            yield Wiring(
                name,
                {"wrapped": {"moduleName": "test:counter", "innerBindings": [fetcher]}},
                {"": Answered(partial(self._answer, worker.name, name, settings))},
                modules=(ExtensionModule("test:counter", source),),
            )

    async def _answer(self, worker: str, name: str, settings: Settings, request: WireRequest) -> WireResponse:
        await asyncio.sleep(0)
        assert (request.method, request.target) == (b"POST", "/next")
        return WireResponse(b'{"value": %d}' % self.next(worker, name, settings))

    async def close(self) -> None:
        self.is_closed = True


class Counter:
    """What `env` of a Python worker holds."""

    def __init__(self, take: Any) -> None:
        self._take = take

    async def next(self) -> int:
        taken: int = self._take()
        return taken


class Increase(msgspec.Struct):
    """The body of `POST .../counters/{name}`."""

    by: int


def _list(call: Call[SessionView], _body: None) -> Page:
    counters = call.session.open_kinds[COUNTERS.name]
    assert isinstance(counters, Counters)
    shown, page = call.page(sorted(counters.values.items()))
    return Page([{"name": name, "next": value} for name, value in shown], page.page, page.per_page, page.total_count)


async def _increase(call: Call[SessionView], body: Increase) -> dict[str, Any]:
    await asyncio.sleep(0)
    counters = call.session.open_kinds[COUNTERS.name]
    assert isinstance(counters, Counters)
    name = call.path["name"]
    if name not in counters.values:
        raise ApiError(404, ApiErrorCode.NO_ROUTE, f"there is no counter {name!r}")
    if body.by < 0:
        raise OverflowError(body.by)
    counters.values[name] += body.by
    call.report(f"counter {name} increased")
    return {"name": name, "next": counters.values[name]}


class CounterAccess:
    """What `emulator.counter(name)` gives to a test."""

    def __init__(self, kit: Kit, name: str) -> None:
        counters = kit.open_kind(COUNTERS.name)
        assert isinstance(counters, Counters)
        self.kit = kit
        self.next_value = counters.values.get(name)


class AsyncCounterAccess(CounterAccess):
    """The same for async tests, with something to await."""

    async def look(self) -> int | None:
        return await self.kit.on_thread(lambda: self.next_value)


class CounterKind(BindingKind[Settings]):
    """The description of the kind."""

    name = "counter"
    keys = {"counters": Key(checks.ARRAY)}
    declared_as = ("a counter", 'under "counters"')
    documentation = ("counter", "`counters[]`", "`next`", "`next`")

    def read(self, section: Section) -> None:
        for path, item in section.items("counters"):
            sound = section.read_object(path, item, COUNTER_KEYS, required=("binding",))
            if "binding" in sound and section.claim(sound["binding"], (*path, "binding")):
                section.bind(self.name, sound["binding"], Settings(sound.get("start", 0)), (*path, "binding"))

    def open(self, resources: Resources) -> OpenKind[Settings]:
        return Counters(resources)

    def describe(self, worker: WorkerConfig, settings: Settings) -> str:
        return f"counter from {settings.start}"

    def overview(self, workers: Sequence[WorkerConfig]) -> Iterator[Overview]:
        for name in sorted({name for worker in workers for name in self.bindings(worker)}):
            sharing = [worker.name for worker in workers if name in self.bindings(worker)]
            yield Overview("counter", name, f"of {' and '.join(sharing)}")

    def binding_record(self, settings: Settings) -> Mapping[str, object]:
        return {"start": settings.start}

    def worker_record(self, worker: WorkerConfig) -> Mapping[str, object]:
        return {"counters": len(self.bindings(worker))}

    def conflicts(self, workers: Sequence[WorkerConfig]) -> Iterator[Problem]:
        starts: dict[str, Settings] = {}
        for worker in workers:
            for binding in worker.bindings:
                if binding.kind == self.name and starts.setdefault(binding.name, binding.settings) != binding.settings:
                    assert binding.place is not None
                    yield problem_at(binding.place, "another worker starts this counter elsewhere")

    def python_stub(self) -> str:
        return "class Counter:\n    async def next(self) -> int: ...\n"

    def python_type(self, settings: Settings) -> str:
        return "Counter"

    def typescript_type(self, settings: Settings) -> str:
        return "{ next(): Promise<number> }"

    def rest(self) -> Rest:
        root = "/accounts/{account_id}/counters"
        routes = (Route("GET", root, _list), Route("POST", f"{root}/{{name}}", _increase, Increase))
        refusals = ((OverflowError, lambda error: ApiError(400, 4_711, f"cannot count by {error}")),)
        return Rest("counters", "/accounts/ACCOUNT/counters", routes, refusals)

    def accessor(self) -> Accessor:
        return Accessor("counter", CounterAccess, AsyncCounterAccess)


COUNTERS: Final = CounterKind()
