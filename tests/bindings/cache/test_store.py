from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.base.clock import VirtualClock
from emulator.bindings.cache import store
from emulator.bindings.cache.freshness import Headers, find
from emulator.bindings.cache.store import INLINE_BYTES, SCHEMA, CacheStore, Hit, Incoming, open_store
from emulator.storage.state import State
from emulator.storage.values import whole

T = 1_800_000_000.0
LARGE = bytes(range(256)) * (INLINE_BYTES // 256 + 1)


class Kept:
    """A store, and what it is made of."""

    def __init__(self, directory: Path | None = None) -> None:
        self.clock = VirtualClock(T)
        self.state = State(directory)
        self.store = CacheStore(self.state.database("cache", SCHEMA), self.state.files("cache"), self.clock)

    def files(self) -> int:
        return len(self.state.files("cache").contents())

    def rows(self) -> int:
        row = self.state.database("cache", SCHEMA).row("SELECT count(*) FROM responses")
        assert row is not None
        return int(row[0])

    async def put(self, key: str, body: bytes, seconds: int = 60, cache: str = "", **more: bytes) -> int | None:
        return await self.store.put(cache, key, response(body, seconds, **more))


@pytest.fixture(params=["directory", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return Kept(tmp_path if request.param == "directory" else None)


def response(body: bytes, seconds: int = 60, **more: bytes) -> Incoming:
    headers = [(name.replace("_", "-").encode(), value) for name, value in more.items()]
    return Incoming(200, "Fine", [(b"cache-control", b"max-age=%d" % seconds), *headers], len(body), whole(body))


async def read(hit: Hit | None) -> bytes | None:
    return None if hit is None else b"".join([piece async for piece in hit.value])


async def test_a_response_is_kept_with_its_status_and_headers(kept: Kept) -> None:
    assert await kept.put("http://a/", b"one", x_a=b"\xff") == 3
    hit = kept.store.match("", "http://a/")
    assert hit is not None
    assert (hit.status, hit.reason, await read(hit)) == (200, "Fine", b"one")
    assert dict(hit.headers) == {
        b"cache-control": b"max-age=60",
        b"x-a": b"\xff",
        b"content-length": b"3",
        b"cf-cache-status": b"HIT",
        b"age": b"0",
    }
    assert kept.store.match("", "http://b/") is None
    assert kept.store.match("other", "http://a/") is None
    await kept.put("http://a/", b"two")
    assert await read(kept.store.match("", "http://a/")) == b"two"
    assert kept.store.delete("", "http://a/")
    assert not kept.store.delete("", "http://a/")
    assert kept.store.match("", "http://a/") is None


async def test_a_large_body_is_a_file_that_goes_with_it(kept: Kept) -> None:
    for key in ("a", "b", "c", "d"):
        assert await kept.put(key, LARGE, 60 if key == "d" else 600) == len(LARGE)
    assert kept.files() == 4
    assert await read(kept.store.match("", "a")) == LARGE
    asked: Headers = [(b"range", b"bytes=1000-70000")]
    part = kept.store.match("", "a", asked)
    assert await read(part) == LARGE[1000:70001]
    assert await read(kept.store.match("", "a", [(b"range", b"bytes=%d-" % len(LARGE))])) == b""
    await kept.put("a", b"small")
    kept.store.delete("", "b")
    assert kept.files() == 2
    kept.clock.move_to(T + 60)
    await kept.put("e", b"small")  # which removes what is not fresh
    assert (kept.files(), kept.rows()) == (1, 2)
    kept.store.clear("")
    assert (kept.files(), kept.rows()) == (0, 0)


async def test_what_is_being_read_can_be_read_to_its_end(kept: Kept) -> None:
    await kept.put("a", LARGE)
    hit = kept.store.match("", "a")
    await kept.put("a", b"new")
    assert kept.files() == 1
    assert await read(hit) == LARGE
    assert kept.files() == 0


async def test_a_body_that_breaks_off_changes_nothing(kept: Kept) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LARGE
        raise ConnectionError("gone")

    await kept.put("a", b"before")
    with pytest.raises(ConnectionError):
        await kept.store.put("", "a", response(b"")._replace(pieces=broken()))
    assert await read(kept.store.match("", "a")) == b"before"
    assert kept.files() == 0


async def test_a_body_that_is_too_large_is_not_kept(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_BODY_BYTES", len(LARGE) - 1)
    await kept.put("a", b"before")
    assert await kept.put("a", LARGE) is None
    assert await read(kept.store.match("", "a")) == b"before"
    assert kept.files() == 0


async def test_the_age_goes_on_from_what_it_was(kept: Kept) -> None:
    await kept.put("a", b"one", age=b"10")
    kept.clock.move_to(T + 49.5)
    hit = kept.store.match("", "a")
    assert hit is not None
    assert find(hit.headers, b"age") == b"59"
    kept.clock.move_to(T + 50)
    assert kept.store.match("", "a") is None


@pytest.mark.parametrize(
    ("held", "status"), [('"a"', 206), ('"b"', 200), ("Sat, 01 Jan 2000 00:00:00 GMT", 206), ("no date", 200)]
)
async def test_a_range_is_of_the_response_that_who_asks_has_begun(kept: Kept, held: str, status: int) -> None:
    await kept.put("a", b"0123456789", etag=b'"a"', last_modified=b"Sat, 01 Jan 2000 00:00:00 GMT")
    hit = kept.store.match("", "a", [(b"range", b"bytes=0-1"), (b"if-range", held.encode())])
    assert hit is not None
    assert hit.status == status


async def test_files_that_a_killed_process_has_left_are_removed(tmp_path: Path) -> None:
    first = Kept(tmp_path)
    await first.put("a", LARGE)
    left = await first.state.files("cache").write(whole(b"half"))
    assert left in first.state.files("cache").contents()
    first.state.close()
    state = State(tmp_path)
    opened = open_store(state, VirtualClock(T))
    assert set(state.files("cache").contents()) == opened.files()
    assert await read(opened.match("", "a")) == LARGE
    state.close()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "large", "stale", "no-store", "delete", "wait"]),
        st.sampled_from(["", "other"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 120),
    ),
    max_size=30,
)


@settings(max_examples=150)
@given(steps=STEPS)
def test_it_is_a_dictionary_whose_responses_get_old(steps: list[tuple[str, str, str, int]]) -> None:
    asyncio.run(compare(steps))


async def compare(steps: list[tuple[str, str, str, int]]) -> None:
    kept = Kept()
    model: dict[tuple[str, str], tuple[bytes, float]] = {}
    now = T
    for what, cache, key, number in steps:
        body = b"%d" % number * (INLINE_BYTES if what == "large" else 1)
        fresh = {name: value for name, (value, until) in model.items() if until > now}
        if what in {"put", "large"}:
            await kept.put(key, body, number, cache)
            model[cache, key] = body, now + number
        elif what == "stale":
            await kept.put(key, body, 0, cache)
            model.pop((cache, key), None)
        elif what == "no-store":
            refused = Incoming(200, "", [(b"cache-control", b"no-store")], len(body), whole(body))
            assert await kept.store.put(cache, key, refused) is None
        elif what == "delete":
            assert kept.store.delete(cache, key) is ((cache, key) in fresh)
            model.pop((cache, key), None)
        else:
            now += number / 2
            kept.clock.move_to(now)
        fresh = {name: value for name, (value, until) in model.items() if until > now}
        assert await read(kept.store.match(cache, key)) == fresh.get((cache, key))
        assert kept.store.keys(cache) == sorted(name for place, name in fresh if place == cache)
    assert kept.files() == len(kept.store.files())
    kept.state.close()
