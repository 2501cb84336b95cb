"""Engines that a user asks for by their address."""

from __future__ import annotations

from emulator.base.bus import Bus, Level, Notice
from emulator.base.errors import EmulatorError
from emulator.base.installing import install_command
from emulator.queues.contract import QueueEngine


def engine_at(address: str, bus: Bus) -> QueueEngine:
    """The engine at an address such as `nats://localhost:4222`. What goes wrong with it later is told on `bus`. Raises
    EmulatorError if the address is wrong, or a package is missing."""
    from emulator.queues.jetstream.address import read_address  # most sessions keep their queues themselves

    there = read_address(address)
    try:
        from emulator.queues.jetstream.engine import JetStreamEngine
    except ModuleNotFoundError as error:
        raise EmulatorError(
            f"the queue engine {there} needs the package nats-py: install it with "
            f"`{install_command('workers-emulator[nats]')}`"
        ) from error

    def tell(level: Level, text: str) -> None:
        bus.publish(Notice(level, text))

    return JetStreamEngine(there, tell)
