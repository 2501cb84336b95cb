"""Runs `build.command`, which makes the code of a worker before it is loaded."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from emulator.base.bus import Bus
from emulator.base.failure import Failure
from emulator.base.words import clean_lines, reason, shown_path
from emulator.config.model import Build, WorkerConfig
from emulator.hosts.events import WorkerOutput

_TRIGGER: Final = "build"
_MOST_LINES: Final = 100
"""How many of the last lines a failure shows."""

_MOST_LINE_BYTES: Final = 1 << 16
_GRACE_SECONDS: Final = 2.0
"""How long a command that nobody waits for any more may take to end."""


async def run_build(config: WorkerConfig, build: Build, bus: Bus) -> Failure | None:
    """Run the command, publish what it writes as it comes, and return why it failed, or None. Cancelling this ends the
    command."""
    bus.publish(WorkerOutput(config.name, _TRIGGER, "info", f"Running: {build.command}"))
    lines: deque[str] = deque(maxlen=_MOST_LINES)
    try:
        status = await _run(config.name, build, bus, lines)
    except OSError as error:
        return _failure(f"build.command cannot be run in {shown_path(build.directory)}: {reason(error)}", "")
    if status:
        how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        return _failure(f"build.command {how}: {build.command}", "\n".join(lines))
    if not config.main.is_file():
        return _failure(f"build.command has run, but there is no {shown_path(config.main)}: {build.command}", "")
    return None


async def _run(worker: str, build: Build, bus: Bus, lines: deque[str]) -> int:
    """Returns the status of the command; negative if a signal ended it."""
    process = await asyncio.create_subprocess_shell(
        build.command.strip(),
        cwd=build.directory,
        env={**os.environ, "WRANGLER_COMMAND": "dev"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async for raw in _lines(process.stdout):
            line = clean_lines(raw.decode("utf-8", "replace").rstrip("\r"))
            lines.append(line)
            bus.publish(WorkerOutput(worker, _TRIGGER, "info", line))
        return await process.wait()
    finally:
        if process.returncode is None:
            await _end(process)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """What a command writes, line by line; very long lines in parts."""
    rest = b""
    while chunk := await stream.read(_MOST_LINE_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) >= _MOST_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        for line in lines:
            yield line
    if rest:
        yield rest


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command; what it has started, it can end itself."""
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _failure(message: str, output: str) -> Failure:
    text = f"Error: {message}" + (f"\n\n{output}" if output.strip() else "")
    return Failure("BuildError", message, (), text, verbatim=True)
