"""What other processes do on behalf of a session's workers.

Whoever drives the event loop, as the testing kit does with its virtual time, sees what runs in this process, and has to
ask about the rest.
"""

from __future__ import annotations

from typing import Protocol


class OtherProcess(Protocol):
    """Something that runs worker code in a process of its own."""

    @property
    def calls_under_way(self) -> int:
        """How much it is being waited for at the moment: starts, invocations, ends."""

    def owns(self, descriptor: int) -> bool:
        """Whether a file descriptor is of a connection with it."""

    async def rest(self) -> None:
        """Wait until its `waitUntil` work has ended."""


class Activity:
    """All other processes of a session together."""

    def __init__(self) -> None:
        self._processes: list[OtherProcess] = []

    def add(self, process: OtherProcess) -> None:
        """Ask about `process`, too, from here on."""
        self._processes.append(process)

    @property
    def calls_under_way(self) -> int:
        """How much is being waited for at the moment."""
        return sum(process.calls_under_way for process in self._processes)

    def owns(self, descriptor: int) -> bool:
        """Whether a file descriptor is of a connection with one of them. That it is open says nothing:
        `calls_under_way` tells whether something is to come from it."""
        return any(process.owns(descriptor) for process in self._processes)

    async def rest(self) -> None:
        """Wait until the `waitUntil` work of them all has ended."""
        for process in self._processes:
            await process.rest()
