from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.bindings.events import BindingUsed
from emulator.bindings.kv.store import KvError
from emulator.testing import AsyncEmulator, Emulator

WORKER = """
from workers import Response, WorkerEntrypoint
from pyodide.ffi import JsException

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name = request.url.rsplit("/", 1)[1]
        if request.method == "POST":
            await self.env.SESSIONS.put(name, await request.text(), expirationTtl=3600)
            return Response("kept")
        try:
            return Response(await self.env.SESSIONS.get(name) or "nobody")
        except JsException as error:
            return Response(error.message)
"""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(main=WORKER, settings={"kv_namespaces": [{"binding": "SESSIONS", "id": "abc"}]}) as made:
        yield made


def test_a_value_lives_as_long_as_its_ttl_in_virtual_time(emulator: Emulator) -> None:
    emulator.post("/ada", content="logged in")
    assert emulator.get("/ada").text == "logged in"
    emulator.advance(seconds=3599)
    assert emulator.get("/ada").text == "logged in"
    emulator.advance(seconds=1)
    assert emulator.get("/ada").text == "nobody"


def test_a_test_reads_and_seeds(emulator: Emulator) -> None:
    kv = emulator.kv("SESSIONS")
    kv.put("ada", "seeded", metadata={"n": 1}, expiration_ttl=60)
    kv.put("json", {"a": [1]})
    kv.put("bytes", b"\xff")
    assert emulator.get("/ada").text == "seeded"
    assert (kv.get("ada"), kv.metadata("ada"), kv.get("absent")) == ("seeded", {"n": 1}, None)
    assert (kv.get_json("json"), kv.get_bytes("bytes"), kv.metadata("json")) == ({"a": [1]}, b"\xff", None)
    assert kv.keys() == ["ada", "bytes", "json"]
    assert kv.keys("b") == ["bytes"]
    kv.delete("ada")
    assert emulator.get("/ada").text == "nobody"
    assert emulator.kv("abc").keys() == ["bytes", "json"]
    with pytest.raises(KvError, match="Expiration TTL must be at least 60"):
        kv.put("a", "b", expiration_ttl=1)


def test_operations_can_be_made_to_fail(emulator: Emulator) -> None:
    emulator.kv("SESSIONS").fail_next(2)
    assert emulator.get("/ada").text == "KV GET failed: 500 Internal Server Error"
    assert emulator.get("/ada").text == "KV GET failed: 500 Internal Server Error"
    assert emulator.get("/ada").text == "nobody"


def test_every_emulator_begins_empty(emulator: Emulator) -> None:
    emulator.kv("SESSIONS").put("ada", "here")
    with Emulator(main=WORKER, settings={"kv_namespaces": [{"binding": "SESSIONS", "id": "abc"}]}) as other:
        assert other.kv("SESSIONS").keys() == []


def test_an_unknown_namespace_is_told_by_those_there_are(emulator: Emulator) -> None:
    with pytest.raises(EmulatorError, match=r"there is no KV namespace 'CARTS'; the bindings are: SESSIONS"):
        emulator.kv("CARTS")


def test_each_operation_is_an_event(emulator: Emulator) -> None:
    used: list[BindingUsed] = []
    emulator._core.bus.subscribe(BindingUsed, used.append)
    emulator.post("/ada", content="12345")
    emulator.kv("SESSIONS").fail_next()
    emulator.get("/ada")
    emulator.kv("SESSIONS").keys()
    assert [(each.worker, each.name, each.operation, each.key, each.size, each.error) for each in used] == [
        ("worker", "SESSIONS", "put", "ada", 5, ""),
        ("worker", "SESSIONS", "get", "ada", 0, "Internal Server Error"),
        ("", "abc", "list", "", 0, ""),
    ]


def test_in_async_tests_it_is_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        settings = {"kv_namespaces": [{"binding": "SESSIONS"}]}
        async with AsyncEmulator(main=WORKER, settings=settings) as emulator:
            kv = emulator.kv("SESSIONS")
            await kv.put("ada", "seeded")
            assert await kv.get("ada") == "seeded"
            assert await kv.keys() == ["ada"]
            await kv.delete("ada")
            assert await kv.get_json("ada") is None

    asyncio.run(main())
