"""Connects a session with the real queues that its configurations name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emulator.base.bus import Bus
from emulator.bindings.queue.config import real_queues
from emulator.config.model import WorkerConfig

if TYPE_CHECKING:
    from emulator.queues.bridge.bridge import Bridge


def bridge_of(configs: Sequence[WorkerConfig], bus: Bus, environment: Mapping[str, str]) -> Bridge | None:
    """The bridge to the real queues of workers; None if all are local. `environment` says whose they are. Raises
    EmulatorError if it does not."""
    real = real_queues(configs)
    if not real:
        return None
    from emulator.queues.bridge.bridge import Bridge  # nearly all queues are local
    from emulator.queues.bridge.cloud import Cloud, account_of

    account_id = next((config.account_id for config in configs if config.account_id), "")
    return Bridge(real, Cloud(account_of(environment, account_id)), bus)
