from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from emulator.base.errors import EmulatorError
from emulator.bindings.r2.errors import R2Error
from emulator.testing import AsyncEmulator, Emulator

WORKER = """
from workers import Response, WorkerEntrypoint
from pyodide.ffi import JsException

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name = request.url.rsplit("/", 1)[1]
        try:
            if request.method == "POST":
                key = "07" * 32 if name == "secret" else None
                made = await self.env.FILES.put(name, request.body, ssecKey=key)
                return Response(made.uploaded.isoformat())
            found = await self.env.FILES.get(name)
            return Response(found.body if found else "nothing")
        except JsException as error:
            return Response(error.message)
"""
SETTINGS = {"r2_buckets": [{"binding": "FILES", "bucket_name": "files"}]}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(main=WORKER, settings=SETTINGS) as made:
        yield made


def test_a_test_reads_and_seeds(emulator: Emulator) -> None:
    files = emulator.r2("FILES")
    made = files.put("a", "seeded", http_metadata={"contentType": "text/x"}, custom_metadata={"by": "test"})
    files.put("json", {"a": [1]})
    files.put("bytes", b"\xff" * 100_000)
    assert emulator.get("/a").text == "seeded"
    assert (files.get("a"), files.get("absent"), files.get_json("json")) == ("seeded", None, {"a": [1]})
    assert files.get_bytes("bytes") == b"\xff" * 100_000
    head = files.head("a")
    assert head is not None
    assert (head.etag, head.metadata) == (made.etag, made.metadata)
    assert [each.key for each in files.list()] == ["a", "bytes", "json"]
    assert [each.size for each in files.list("b")] == [100_000]
    files.delete("a", "bytes")
    assert emulator.get("/a").text == "nothing"
    assert [each.key for each in emulator.r2("files").list()] == ["json"]
    with pytest.raises(R2Error, match="10020"):
        files.put("k" * 1025, "x")


def test_a_test_reads_what_needs_a_key(emulator: Emulator) -> None:
    emulator.post("/secret", content=b"hidden")
    assert emulator.get("/secret").text.startswith("get: The object was stored using a form of Server Side Encryption.")
    assert emulator.r2("FILES").get("secret") == "hidden"


def test_the_time_of_an_upload_is_virtual(emulator: Emulator) -> None:
    first = emulator.post("/a", content="x").text
    emulator.advance(seconds=3600)
    second = emulator.post("/a", content="x").text
    assert first[11:13] != second[11:13]
    assert first[13:16] == second[13:16]


def test_operations_can_be_made_to_fail(emulator: Emulator) -> None:
    emulator.r2("FILES").fail_next()
    assert emulator.get("/a").text == "get: We encountered an internal error. Please try again. (10001)"
    assert emulator.get("/a").text == "nothing"


def test_an_unknown_bucket_is_told_by_those_there_are(emulator: Emulator) -> None:
    with pytest.raises(EmulatorError, match=r"there is no R2 bucket 'MORE'; the bindings are: FILES"):
        emulator.r2("MORE")


def test_in_async_tests_it_is_awaited() -> None:
    async def main() -> None:
        async with AsyncEmulator(main=WORKER, settings=SETTINGS) as emulator:
            files = emulator.r2("FILES")
            await files.put("a", "seeded")
            assert await files.get("a") == "seeded"
            assert [each.key for each in await files.list()] == ["a"]
            await files.delete("a")
            assert await files.get_json("a") is None

    asyncio.run(main())
