"""The work that other processes do on behalf of a session's workers.

The testing kit, which drives the event loop in virtual time, sees what runs in this process; it asks here about other
processes.
"""

from __future__ import annotations

from typing import Protocol


class OtherProcess(Protocol):
    """Something that runs worker code in another process."""

    @property
    def calls_under_way(self) -> int:
        """How many operations are under way: starts, invocations and stops."""

    def owns(self, descriptor: int) -> bool:
        """Whether a file descriptor belongs to a connection with the process."""

    async def rest(self) -> None:
        """Wait until the process's `waitUntil` work has ended."""


class Activity:
    """All other processes of a session."""

    def __init__(self) -> None:
        self._processes: list[OtherProcess] = []

    def add(self, process: OtherProcess) -> None:
        """Include `process` from now on."""
        self._processes.append(process)

    @property
    def is_empty(self) -> bool:
        """Whether there is no other process."""
        return not self._processes

    @property
    def calls_under_way(self) -> int:
        """How many operations are under way in all processes."""
        return sum(process.calls_under_way for process in self._processes)

    def owns(self, descriptor: int) -> bool:
        """Whether a file descriptor belongs to a connection with one of the processes. An open connection does not mean
        that anything will arrive; `calls_under_way` says that."""
        return any(process.owns(descriptor) for process in self._processes)

    async def rest(self) -> None:
        """Wait until all processes' `waitUntil` work has ended."""
        for process in self._processes:
            await process.rest()
