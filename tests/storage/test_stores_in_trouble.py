"""KV and R2 where the disk is full, a file is damaged, and two sessions share a directory."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.base.clock import WallClock
from emulator.base.errors import EmulatorError
from emulator.bindings.kv.store import open_store as open_kv
from emulator.bindings.r2.store import open_store as open_r2
from emulator.storage.state import State

LARGE = 3_000_000

# In a process that may write no file of more than a megabyte, as if there were no room for more.
FULL = f"""
import asyncio, json, resource, sys
from pathlib import Path
from emulator.base.clock import WallClock
from emulator.base.errors import EmulatorError
from emulator.bindings.kv.store import open_store as open_kv
from emulator.bindings.r2.store import open_store as open_r2
from emulator.storage.state import State

resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
state = State(Path(sys.argv[1]))
kv, r2 = open_kv(state, WallClock()), open_r2(state, WallClock())

async def main():
    told = []
    await kv.put("n", "before", b"1")
    await r2.put("b", "before", b"2")
    for put in (lambda: kv.put("n", "before", bytes({LARGE})), lambda: r2.put("b", "before", bytes({LARGE}))):
        try:
            await put()
        except EmulatorError as error:
            told.append(str(error))
    try:
        for number in range(1000):  # until the log of the database is full
            await kv.put("n", f"small {{number:04}}", bytes(50_000))
    except EmulatorError as error:
        told.append(str(error))
    print(json.dumps([told, number]))

asyncio.run(main())
"""


async def value(store: Any, key: str) -> bytes | None:
    """The value of a key in either store."""
    if hasattr(store, "namespaces"):
        entry = await store.get("n", key)
        return None if entry is None else bytes(entry.value)
    got = store.get("b", key)
    return None if got is None else b"".join([piece async for piece in got[1]])


def test_a_full_disk_is_a_sentence_and_nothing_is_lost_or_half_done(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told, kept = json.loads(done.stdout)
    assert len(told) == 3
    assert all("cannot be written: " in text for text in told[:2]), told
    assert "kv.sqlite" in told[2]
    asyncio.run(look(tmp_path, kept))


async def look(directory: Path, kept: int) -> None:
    """What was acknowledged is there, nothing else is, and there is room again."""
    state = State(directory)
    kv, r2 = open_kv(state, WallClock()), open_r2(state, WallClock())
    assert (await value(kv, "before"), await value(r2, "before")) == (b"1", b"2")
    assert [key.name for key in kv.list("n").keys if key.name != "before"] == [f"small {n:04}" for n in range(kept)]
    assert await value(kv, f"small {kept - 1:04}") == bytes(50_000)
    await kv.put("n", "after", bytes(LARGE))
    assert set(state.files("kv").contents()) == kv.files()
    assert state.files("r2").contents() == {}
    state.close()


@pytest.mark.parametrize(("name", "open_store"), [("kv", open_kv), ("r2", open_r2)])
def test_a_damaged_database_is_a_sentence_and_is_left_as_it_is(
    tmp_path: Path, name: str, open_store: Callable[[State, WallClock], object]
) -> None:
    path = tmp_path / f"bindings/{name}.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    state = State(tmp_path)
    with pytest.raises(EmulatorError, match=rf"{name}.sqlite is damaged"):
        open_store(state, WallClock())
    state.close()
    assert path.read_bytes() == b"no database" * 1000


async def test_a_second_session_leaves_alone_what_the_first_is_writing(tmp_path: Path) -> None:
    first, second = State(tmp_path), State(tmp_path)
    writer = open_r2(first, WallClock())

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(LARGE)
        await open_kv(second, WallClock()).put("n", "key", b"from the second")
        assert open_r2(second, WallClock()).head("b", "large") is None
        yield b"end"

    made = await writer.put("b", "large", pieces())
    assert made is not None
    assert await value(open_r2(second, WallClock()), "large") == bytes(LARGE) + b"end"
    assert await value(open_kv(first, WallClock()), "key") == b"from the second"
    second.close()
    first.close()
