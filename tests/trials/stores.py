"""Kills a process that writes to KV and R2 at random moments, and compares what is kept with a dictionary.

The process says what it is about to do, and then that it has done it. What was done must be there, whole; the one thing
that it was about to do may be there, whole, or not. No file is left of which nobody knows.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from emulator.base.clock import WallClock
from emulator.bindings.kv.store import FILE_BYTES, KvStore
from emulator.bindings.kv.store import open_store as open_kv
from emulator.bindings.r2.objects import MIN_PART_BYTES
from emulator.bindings.r2.store import INLINE_BYTES, PublishedPart, R2Store
from emulator.bindings.r2.store import open_store as open_r2
from emulator.storage.state import State

SIZES: Final = {"kv": (1, 1_000, FILE_BYTES + 1), "r2": (0, 1_000, INLINE_BYTES + 1, 1_000_000, MIN_PART_BYTES + 1)}
KEYS: Final = 8
LONGEST_SECONDS: Final = 0.4

Step = tuple[str, str, int]
"""A store, a key, and the size of its new value; -1 removes it. The value follows from the key and the size."""


@dataclass
class StoresReport:
    """What has come of it: how many operations were acknowledged, and what was wrong."""

    kills: int = 0
    done: int = 0
    wrong: str = ""

    @property
    def is_good(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        return f"{self.kills} kills, {self.done} operations on KV and R2: {self.wrong or 'all is there'}"


def run(directory: Path, rounds: int, seed: int) -> StoresReport:
    """Kill a writer `rounds` times, and look each time."""
    report, random = StoresReport(), Random(seed)
    model: dict[tuple[str, str], int] = {}
    for number in range(rounds):
        command = [sys.executable, "-m", "tests.trials.stores", str(directory), str(seed + number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            told = [writer.stdout.readline()]
            time.sleep(random.uniform(0, LONGEST_SECONDS))
            writer.kill()
            told += writer.stdout.readlines()
        whole = [json.loads(line) for line in told if line.endswith("\n")]
        doing = _follow(model, whole)
        report.kills += 1
        report.done += sum(line == "done" for line in whole)
        report.wrong = asyncio.run(_compare(directory, model, doing))
        if report.wrong:
            break
    return report


def _follow(model: dict[tuple[str, str], int], told: list[Any]) -> Step | None:
    """Let the model be what was done. Returns what was being done."""
    doing: Step | None = None
    for line in told:
        if line != "done":
            doing = tuple(line)
        elif doing is not None:
            model[doing[0], doing[1]] = doing[2]
            doing = None
    return doing


async def _compare(directory: Path, model: dict[tuple[str, str], int], doing: Step | None) -> str:
    state = State(directory)
    stores = Stores(state)
    try:
        for (store, key), size in model.items():
            found = await stores.size(store, key)
            is_new = doing is not None and doing == (store, key, found)
            if found != size and not is_new:
                return f"{store} {key} has {found} bytes in place of {size}, while {doing} was done"
            model[store, key] = found
        if doing is not None and (doing[0], doing[1]) not in model:
            found = await stores.size(doing[0], doing[1])
            if found not in {-1, doing[2]}:
                return f"of {doing} there are {found} bytes"
            model[doing[0], doing[1]] = found
        for name, known in (("kv", stores.kv.files()), ("r2", stores.r2.files())):
            if set(state.files(name).contents()) != known:
                return f"{name} has files of which nobody knows, or lacks one"
        return ""
    finally:
        state.close()


class Stores:
    """Both stores, with values that follow from their keys and sizes."""

    def __init__(self, state: State) -> None:
        self.kv: KvStore = open_kv(state, WallClock())
        self.r2: R2Store = open_r2(state, WallClock())

    async def do(self, store: str, key: str, size: int) -> None:
        """Keep a value of this size, or remove it."""
        if size < 0:
            self.kv.delete("n", [key]) if store == "kv" else self.r2.delete("b", [key])
        elif store == "kv":
            await self.kv.put("n", key, value_of(key, size), metadata=str(size))
        elif size <= MIN_PART_BYTES:
            await self.r2.put("b", key, _pieces(value_of(key, size)))
        else:
            upload, value = self.r2.create_upload("b", key), value_of(key, size)
            parts = [value[:MIN_PART_BYTES], value[MIN_PART_BYTES:]]
            kept = [await self.r2.upload_part("b", key, upload, at, part) for at, part in enumerate(parts, 1)]
            self.r2.complete_upload("b", key, upload, [PublishedPart(at, etag) for at, (etag, _) in enumerate(kept, 1)])

    async def size(self, store: str, key: str) -> int:
        """How large the value of a key is; -1 if there is none, -2 if it is another one than was kept."""
        value = await self._value(store, key)
        if value is None:
            return -1
        return len(value) if value == value_of(key, len(value)) else -2

    async def _value(self, store: str, key: str) -> bytes | None:
        if store == "kv":
            entry = await self.kv.get("n", key)
            return None if entry is None else entry.value
        got = self.r2.get("b", key)
        if got is None:
            return None
        assert got[1] is not None
        return b"".join([piece async for piece in got[1]])


def value_of(key: str, size: int) -> bytes:
    """The value of this size."""
    begin = f"{key} {size} ".encode()
    return (begin * (size // len(begin) + 1))[:size]


async def _pieces(value: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(value), 100_000):
        yield value[start : start + 100_000]


async def _write(directory: Path, seed: int) -> None:
    random, stores = Random(seed), Stores(State(directory))
    while True:
        store = random.choice(("kv", "r2"))
        step: Step = (store, f"key {random.randrange(KEYS)}", random.choice((-1, *SIZES[store])))
        print(json.dumps(step), flush=True)
        await stores.do(*step)
        print(json.dumps("done"), flush=True)


if __name__ == "__main__":
    asyncio.run(_write(Path(sys.argv[1]), int(sys.argv[2])))
