"""An object that no process may hold in memory: kept and read from the command line, copied and sent by a worker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest, md5
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.integration.conftest import Running, write_worker

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            found = await self.env.FILES.get("copy")
            if found is None:
                found = await self.env.FILES.get("large")
                await self.env.FILES.put("copy", found.body)
                return Response("copied")
            return Response(found.body)
"""
MB = 1024 * 1024
TIMEOUT_SECONDS = 600
MOST_GROWTH = 40 * MB
"""How much more memory a process may need for this than for a small value."""


class Done(NamedTuple):
    """A command that has ended; `peak` is the most memory that it had, in bytes."""

    output: bytes
    peak: int


def r2(directory: Path, *arguments: str, output: Path | None = None) -> Done:
    command = [sys.executable, "-c", MEASURED, "r2", *arguments]
    environment = {**os.environ, "NO_COLOR": "1"}
    with (output or directory / "output").open("wb") as file:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdout=file,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    peak = int(done.stderr.split()[-1]) * 1024
    return Done(b"" if output else (directory / "output").read_bytes(), peak)


MEASURED = """
import resource, sys
from emulator.cli import cli
sys.argv[0] = "emulator"
try:
    cli(standalone_mode=False)
finally:
    sys.stdout.flush()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def peak_of(process: int) -> int:
    """The most memory that a process had so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def sparse(path: Path, size: int) -> str:
    """Make a file, mostly of zeros. Returns its MD5."""
    with path.open("wb") as file:
        file.write(b"begin")
        file.seek(size - 3)
        file.write(b"end")
    return md5_of(path)


def md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "md5").hexdigest()


def check(directory: Path, digest: str, size: int, fetch: Callable[[], Sequence[str]]) -> list[int]:
    """Keep a file as an object, let the worker copy and send it, and look at it. Returns how much memory each process
    needed at most."""
    small = directory / "small"
    small.write_bytes(b"x")
    few = r2(directory, "put", "FILES", "small", "small").peak
    kept = r2(directory, "put", "FILES", "large", "file")
    assert kept.output.decode() == f"Kept large ({size:,} bytes)\n"
    got = r2(directory, "get", "FILES", "large", output=directory / "file")
    assert fetch() == ["copied", digest]
    listed = json.loads(r2(directory, "list", "FILES", "--json").output)
    assert [(each["key"], each["size"], each["etag"]) for each in listed[:2]] == [
        ("copy", size, digest),
        ("large", size, digest),
    ]
    assert md5_of(directory / "file") == digest
    assert r2(directory, "delete", "FILES", "copy", "large", "small").output == b"Removed 3 objects\n"
    return [kept.peak - few, got.peak - few]


@dataclass
class LargeReport:
    """How much memory the processes needed beyond what they need for a small value: `emulator r2 put`, `emulator r2
    get` and the session, in bytes."""

    growth: list[int] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return max(self.growth) < MOST_GROWTH

    def __str__(self) -> str:
        return f"put, get and session grew by {', '.join(f'{each / MB:.0f} MB' for each in self.growth)}"


def run(directory: Path, size: int) -> LargeReport:
    """Let an object of that size pass through everything. The directory needs room for three of them."""
    write_worker(directory, WORKER, r2_buckets=[{"binding": "FILES", "bucket_name": "files"}])
    running = Running("dev", "-p", "0", cwd=directory, python=sys.executable).ready()
    try:
        digest = sparse(directory / "file", size)
        before = peak_of(running.process.pid)

        def fetch() -> list[str]:
            copied = httpx.get(running.url, timeout=TIMEOUT_SECONDS).text
            received = md5()
            with httpx.stream("GET", running.url, timeout=TIMEOUT_SECONDS) as answer:
                for piece in answer.iter_bytes():
                    received.update(piece)
            return [copied, received.hexdigest()]

        growth = check(directory, digest, size, fetch)
        return LargeReport([*growth, peak_of(running.process.pid) - before])
    finally:
        running.end()
