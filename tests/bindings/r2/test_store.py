from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.base.clock import VirtualClock
from emulator.bindings.r2 import errors
from emulator.bindings.r2.errors import R2Error
from emulator.bindings.r2.etags import read_etags
from emulator.bindings.r2.objects import MIN_PART_BYTES, Conditions, Etag, Metadata, R2Range, check_size
from emulator.bindings.r2.store import INLINE_BYTES, SCHEMA, PublishedPart, R2Store, open_store
from emulator.storage.state import State
from emulator.storage.values import Value

T = 1_800_000_000.0
LARGE = bytes(range(256)) * (INLINE_BYTES // 256 + 1)


class Kept:
    """A store, and what it is made of."""

    def __init__(self, directory: Path | None = None) -> None:
        self.clock = VirtualClock(T)
        self.state = State(directory)
        self.store: R2Store = open_store(self.state, self.clock)

    def files(self) -> set[str]:
        return set(self.state.files("r2").contents())

    async def value(self, key: str, wanted: R2Range | None = None) -> bytes | None:
        got = self.store.get("b", key, wanted)
        return None if got is None else await whole(got[1])


async def whole(value: Value | None) -> bytes:
    assert value is not None
    return b"".join([piece async for piece in value])


@pytest.fixture(params=["directory", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return Kept(tmp_path if request.param == "directory" else None)


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for each in given:
        yield each


async def breaks_off() -> AsyncIterator[bytes]:
    yield LARGE
    raise ConnectionError("gone")


async def test_a_large_object_is_a_file_that_goes_with_it(kept: Kept) -> None:
    for key in ("a", "c"):
        await kept.store.put("b", key, pieces(LARGE[:100], LARGE[100:], b"end"))
    await kept.store.put("b", "small", LARGE[:INLINE_BYTES])
    assert len(kept.files()) == 2
    assert await kept.value("a") == LARGE + b"end"
    assert await kept.value("a", R2Range(99, 3)) == LARGE[99:102]
    assert await kept.value("a", R2Range(suffix=5)) == LARGE[-2:] + b"end"
    await kept.store.put("b", "a", b"small")
    assert len(kept.files()) == 1
    assert kept.store.delete("b", ["c", "absent"]) == 1
    assert not kept.files()


async def test_what_is_being_read_stays_until_it_is_read(kept: Kept) -> None:
    await kept.store.put("b", "a", LARGE * 10)
    got = kept.store.get("b", "a")
    unread = kept.store.get("b", "a")
    assert got is not None
    kept.store.delete("b", ["a"])
    assert await whole(got[1]) == LARGE * 10
    assert len(kept.files()) == 1
    del unread
    assert not kept.files()


async def test_nothing_is_left_of_what_is_not_kept(kept: Kept) -> None:
    await kept.store.put("b", "a", b"there")
    with pytest.raises(ConnectionError):
        await kept.store.put("b", "a", breaks_off())
    with pytest.raises(R2Error, match="MD5"):
        await kept.store.put("b", "a", LARGE, hashes={"md5": bytes(16)})
    assert await kept.store.put("b", "a", LARGE, conditions=Conditions(etag_matches=[Etag("strong", "x")])) is None
    with pytest.raises(R2Error, match="10024"):
        await kept.store.upload_part("b", "a", "none", 1, LARGE)
    assert await kept.value("a") == b"there"
    assert not kept.files()


async def test_parts_are_joined_without_a_copy(kept: Kept) -> None:
    upload = kept.store.create_upload("b", "big", Metadata({"contentType": "x/y"}, {"a": "b"}))
    bodies = {2: b"2" * MIN_PART_BYTES, 1: b"1" * MIN_PART_BYTES, 3: b"end"}
    await kept.store.upload_part("b", "big", upload, 1, b"replaced")
    parts = [
        PublishedPart(n, (await kept.store.upload_part("b", "big", upload, n, body))[0]) for n, body in bodies.items()
    ]
    await kept.store.upload_part("b", "big", upload, 4, b"unused")
    before = kept.files()
    assert len(before) == 4
    made = kept.store.complete_upload("b", "big", upload, parts)
    assert made.size == 2 * MIN_PART_BYTES + 3
    assert made.etag.endswith("-3")
    assert made.checksums == {}
    assert made.metadata == Metadata({"contentType": "x/y"}, {"a": "b"})
    assert kept.files() < before
    assert await kept.value("big") == bodies[1] + bodies[2] + bodies[3]
    assert await kept.value("big", R2Range(MIN_PART_BYTES - 1, 2)) == b"12"
    kept.store.delete("b", ["big"])
    assert not kept.files()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda store: store.get("b", "k" * 1025), "The specified object name is not valid. (10020)"),
        (lambda store: store.list("b", limit=0), "MaxKeys params must be positive integer <= 1000. (10022)"),
        (lambda store: store.list("b", cursor="*"), "The cursor is not valid. (10029)"),
        (
            lambda store: store.create_upload("b", "k", Metadata({}, {"m": "m" * 8192})),
            "Your metadata headers exceed the maximum allowed metadata size. (10012)",
        ),
        (
            lambda store: store.create_upload("b", "k", Metadata({}, {}, "Glacier")),
            "The storage class you specified is not valid. (10062)",
        ),
        (lambda store: store.get("b", "a", R2Range(9)), "The requested range is not satisfiable (10039)"),
        (lambda store: store.get("b", "a", R2Range(suffix=0)), "The requested range is not satisfiable (10039)"),
        (lambda store: store.delete_bucket("b"), "The bucket you tried to delete is not empty. (10008)"),
        (
            lambda _store: check_size(5 * 1024**3 - 5 * 1024**2 + 1),
            "Your proposed upload exceeds the maximum allowed object size. (100100)",
        ),
        (
            lambda store: store.complete_upload("b", "k", "none", []),
            "We encountered an internal error. Please try again. (10001)",
        ),
    ],
)
async def test_a_refusal_has_the_words_of_production(call: Any, words: str) -> None:
    kept = Kept()
    await kept.store.put("b", "a", b"one")
    with pytest.raises(R2Error) as caught:
        call(kept.store)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("sizes", "refusal"),
    [
        ((3, 3), errors.PART_TOO_SMALL),
        ((MIN_PART_BYTES, MIN_PART_BYTES + 1, 3), errors.BAD_UPLOAD),
        ((MIN_PART_BYTES, MIN_PART_BYTES + 1), errors.BAD_UPLOAD),
    ],
)
async def test_parts_that_do_not_fit_are_refused(sizes: tuple[int, ...], refusal: errors.Refusal) -> None:
    kept = Kept()
    upload = kept.store.create_upload("b", "k")
    parts = [
        PublishedPart(number, (await kept.store.upload_part("b", "k", upload, number, bytes(size)))[0])
        for number, size in enumerate(sizes, 1)
    ]
    with pytest.raises(R2Error) as caught:
        kept.store.complete_upload("b", "k", upload, parts)
    assert caught.value.code == refusal.code


@pytest.mark.parametrize(
    ("conditions", "holds", "holds_of_none"),
    [
        (Conditions(), True, True),
        (Conditions(etag_matches=[Etag("strong", "e")]), True, False),
        (Conditions(etag_matches=[Etag("weak", "e")]), False, False),
        (Conditions(etag_matches=[Etag("wildcard")]), True, False),
        (Conditions(etag_does_not_match=[Etag("weak", "e")]), False, True),
        (Conditions(etag_does_not_match=[Etag("wildcard")]), False, True),
        (Conditions(uploaded_before=1500), False, True),
        (Conditions(uploaded_before=1501), True, True),
        (Conditions(uploaded_after=1500), False, False),
        (Conditions(uploaded_after=1499), True, False),
        (Conditions(uploaded_after=1499, in_seconds=True), False, False),
        (Conditions(uploaded_before=1000, etag_matches=[Etag("strong", "e")]), True, False),
        (Conditions(uploaded_after=2000, etag_does_not_match=[Etag("strong", "x")]), True, False),
    ],
)
def test_conditions(conditions: Conditions, holds: bool, holds_of_none: bool) -> None:
    assert conditions.hold("e", 1500) is holds
    assert conditions.hold(None, 0) is holds_of_none


def test_etags_of_headers() -> None:
    assert read_etags('"a", W/"b,c" ,"d"') == [Etag("strong", "a"), Etag("weak", "b,c"), Etag("strong", "d")]
    assert read_etags('"a", *') == [Etag("wildcard")]
    assert read_etags("") == []
    for wrong in ('"a" "b"', "a", '"a', 'W"a"'):
        with pytest.raises(ValueError, match="Invalid conditional header"):
            read_etags(wrong)


async def test_a_page_is_cut_before_it_says_too_much() -> None:
    kept = Kept()
    for number in range(200):
        await kept.store.put("b", f"{number:03}", b"", Metadata({}, {"m": "m" * 8000}))
    page = kept.store.list("b")
    assert 0 < len(page.objects) < 200
    assert page.cursor is not None
    rest = kept.store.list("b", cursor=page.cursor)
    found = [each.key for each in (*page.objects, *rest.objects)]
    assert found == [f"{number:03}" for number in range(len(found))]


async def test_a_store_of_before_there_were_keys_is_taken_on(tmp_path: Path) -> None:
    state = State(tmp_path)
    database = state.database("r2", SCHEMA[:1])
    database.change(
        "INSERT INTO objects VALUES ('b', 'old', 'v', 3, 'e', 1, '{}', '{}', '{}', 'Standard', NULL, x'616263')"
    )
    database.change("INSERT INTO uploads VALUES ('u', 'b', 'up', '{}', '{}', 'Standard', 0)")
    state.close()
    kept = Kept(tmp_path)
    assert await kept.value("old") == b"abc"
    etag, _ = await kept.store.upload_part("b", "up", "u", 1, b"part")
    kept.store.complete_upload("b", "up", "u", [PublishedPart(1, etag)])
    assert await kept.value("up") == b"part"


def test_files_that_a_killed_process_has_left_are_removed(tmp_path: Path) -> None:
    script = """
import asyncio, os, signal, sys
from pathlib import Path
from emulator.base.clock import WallClock
from emulator.bindings.r2.store import open_store
from emulator.storage.state import State

async def pieces(number):
    for count in range(4):
        yield bytes([number]) * 50_000
        if number == 20 and count == 2:
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    store = open_store(State(Path(sys.argv[1])), WallClock())
    for number in range(21):
        await store.put("b", f"{number:02}", pieces(number))
        print(number, flush=True)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL, done.stderr
    directory = tmp_path / "bindings/r2"
    left = {path.name for path in directory.glob("??/*")}
    assert len(left) == 21
    kept = Kept(tmp_path)
    assert len(kept.files()) == 20

    async def check() -> None:
        for number in range(20):
            assert await kept.value(f"{number:02}") == bytes([number]) * 200_000
        assert await kept.value("20") is None

    asyncio.run(check())


KEYS = st.text(alphabet="ab/\u00e9\U0001f600", min_size=1, max_size=6)


@settings(max_examples=60)
@given(
    st.dictionaries(KEYS, st.binary(max_size=4), max_size=12),
    st.sets(KEYS, max_size=4),
    st.text(alphabet="ab/", max_size=2),
    st.sampled_from(["", "/", "a", "b/"]),
    st.integers(1, 4),
)
def test_lists_are_those_of_a_dictionary(
    model: dict[str, bytes], removed: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    kept = Kept()

    async def fill() -> None:
        for key, value in model.items():
            await kept.store.put("b", key, value)
        kept.store.delete("b", list(removed))
        for key in removed:
            model.pop(key, None)
        for key, value in model.items():
            assert await kept.value(key) == value

    asyncio.run(fill())
    expected: list[str] = []
    for key in sorted(model):
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            shown = key if at < 0 else key[: at + len(delimiter)] + "|"
            expected += [] if expected and expected[-1] == shown else [shown]
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = kept.store.list("b", prefix=prefix, delimiter=delimiter, limit=limit, cursor=cursor)
        on_page = [each.key for each in page.objects] + [f"{each}|" for each in page.prefixes]
        assert len(on_page) <= limit
        found += on_page
        cursor = page.cursor
    assert sorted(found) == sorted(expected)
