from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.base.clock import VirtualClock
from emulator.bindings.kv.store import FILE_BYTES, SCHEMA, KvError, KvStore
from emulator.storage.state import State

T = 1_800_000_000.0
FUTURE = "Please specify integer greater than the current number of seconds since the UNIX epoch."


class Kept:
    """A store, and what it is made of."""

    def __init__(self, directory: Path | None = None) -> None:
        self.clock = VirtualClock(T)
        self.state = State(directory)
        self.store = KvStore(self.state.database("kv", SCHEMA), self.state.files("kv"), self.clock)

    def files(self) -> int:
        return len(self.state.files("kv").contents())


@pytest.fixture(params=["directory", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return Kept(tmp_path if request.param == "directory" else None)


async def test_a_value_is_kept_with_its_metadata(kept: Kept) -> None:
    await kept.store.put("n", "a", b"one", metadata='{"x":1}')
    entry = await kept.store.get("n", "a")
    assert entry is not None
    assert (entry.value, entry.metadata, entry.expiration) == (b"one", '{"x":1}', None)
    assert await kept.store.get("n", "b") is None
    assert await kept.store.get("other", "a") is None
    await kept.store.put("n", "a", b"two")
    entry = await kept.store.get("n", "a")
    assert entry is not None
    assert (entry.value, entry.metadata) == (b"two", None)
    assert kept.store.delete("n", ["a", "b"]) == 1
    assert await kept.store.get("n", "a") is None


async def test_a_large_value_is_a_file_that_goes_with_it(kept: Kept) -> None:
    large = b"x" * (FILE_BYTES + 1)
    for key in ("a", "b", "c"):
        await kept.store.put("n", key, large)
    assert kept.files() == 3
    entry = await kept.store.get("n", "a")
    assert entry is not None
    assert entry.value == large
    await kept.store.put("n", "a", b"small")
    assert kept.files() == 2
    kept.store.delete("n", ["b"])
    assert kept.files() == 1
    kept.store.clear("n")
    assert kept.files() == 0


async def test_an_entry_expires_on_the_clock(kept: Kept) -> None:
    await kept.store.put("n", "ttl", b"x" * (FILE_BYTES + 1), expiration_ttl=60)
    await kept.store.put("n", "at", b"1", expiration=T + 100)
    await kept.store.put("n", "both", b"1", expiration=5, expiration_ttl="3600")
    kept.clock.move_to(T + 59.9)
    assert [key.name for key in kept.store.list("n").keys] == ["at", "both", "ttl"]
    kept.clock.move_to(T + 60)
    assert await kept.store.get("n", "ttl") is None
    kept.clock.move_to(T + 100)
    assert [(key.name, key.expiration) for key in kept.store.list("n").keys] == [("both", T + 3600)]
    await kept.store.put("n", "more", b"1", expiration_ttl=60)
    assert kept.files() == 0  # what has expired is gone for good


async def test_a_list_goes_on_where_it_ended(kept: Kept) -> None:
    names = [f"{number:04}" for number in range(2500)] + ["é", "ö", "\U0001f600"]
    for name in names:
        await kept.store.put("n", name, b"")
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = kept.store.list("n", cursor=cursor, limit=700)
        found += [key.name for key in page.keys]
        cursor = page.cursor
    assert found == sorted(names, key=str.encode)
    assert len(kept.store.list("n").keys) == 1000
    assert [key.name for key in kept.store.list("n", prefix="000", limit=3).keys] == ["0000", "0001", "0002"]
    exact = kept.store.list("n", prefix="001", limit=10)
    assert (len(exact.keys), exact.cursor) == (10, None)


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ({"key": ""}, 400, "Key names must not be empty"),
        ({"key": ".."}, 400, 'Illegal key name "..". Please use a different name.'),
        ({"key": "é" * 256 + "x"}, 414, "UTF-8 encoded length of 513 exceeds key length limit of 512."),
        ({"expiration_ttl": 59}, 400, "Invalid expiration_ttl of 59. Expiration TTL must be at least 60."),
        ({"expiration_ttl": 0}, 400, "Invalid expiration_ttl of 0. Please specify integer greater than 0."),
        ({"expiration_ttl": "x"}, 400, "Invalid expiration_ttl of x. Please specify integer greater than 0."),
        (
            {"expiration": T},
            400,
            f"Invalid expiration of 1800000000. {FUTURE}",
        ),
        (
            {"expiration": T + 59},
            400,
            "Invalid expiration of 1800000059. Expiration times must be at least 60 seconds in the future.",
        ),
        ({"metadata": '"' + "x" * 1023 + '"'}, 413, "Metadata length of 1025 exceeds limit of 1024."),
        ({"value": b"x" * (25 * 1024 * 1024 + 1)}, 413, "Value length of 26214401 exceeds limit of 26214400."),
    ],
)
async def test_what_is_refused_is_refused_in_the_services_words(call: dict[str, Any], status: int, words: str) -> None:
    kept = Kept()
    given = {"key": "a", "value": b"1", **call}
    with pytest.raises(KvError) as caught:
        await kept.store.put("n", given.pop("key"), given.pop("value"), **given)
    assert (caught.value.status, caught.value.message) == (status, words)
    assert kept.store.list("n").keys == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"limit": 0}, "Invalid key_count_limit of 0. Please specify an integer greater than 0."),
        ({"limit": 1001}, "Invalid key_count_limit of 1001. Please specify an integer less than 1000."),
        ({"cursor": "no"}, "Invalid cursor"),
        ({"prefix": "x" * 513}, "UTF-8 encoded length of 513 exceeds key length limit of 512."),
    ],
)
def test_a_list_that_is_refused(call: dict[str, Any], words: str) -> None:
    with pytest.raises(KvError) as caught:
        Kept().store.list("n", **call)
    assert caught.value.message == words


KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=3).filter(lambda key: key not in {".", ".."})
STEPS = st.lists(st.tuples(st.sampled_from(["put", "ttl", "delete", "wait"]), KEYS, st.integers(60, 90)), max_size=30)


@settings(max_examples=60)
@given(steps=STEPS)
def test_it_is_a_dictionary_whose_entries_expire(steps: list[tuple[str, str, int]]) -> None:
    asyncio.run(compare(steps))


async def compare(steps: list[tuple[str, str, int]]) -> None:
    kept = Kept()
    model: dict[str, tuple[bytes, float]] = {}
    now = T
    for what, key, number in steps:
        value = str(number).encode()
        if what == "put":
            await kept.store.put("n", key, value)
            model[key] = value, float("inf")
        elif what == "ttl":
            await kept.store.put("n", key, value, expiration_ttl=number)
            model[key] = value, int(now) + number
        elif what == "delete":
            kept.store.delete("n", [key])
            model.pop(key, None)
        else:
            now += number / 2
            kept.clock.move_to(now)
        alive = {name: value for name, (value, until) in model.items() if until > int(now)}
        alive = {name: each for name, each in alive.items() if model[name][1] > now}
        assert [each.name for each in kept.store.list("n").keys] == sorted(alive, key=str.encode)
        entry = await kept.store.get("n", key)
        assert (None if entry is None else entry.value) == alive.get(key)
    kept.state.close()
