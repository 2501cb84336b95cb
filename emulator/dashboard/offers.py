"""Offers a rehearsal in the terminal: after a save, of what failed on the code before it."""

from __future__ import annotations

from emulator.base.bus import Bus, Notice
from emulator.queues.events import BatchDelivered
from emulator.session.events import WorkerReloaded


class Offers:
    """Says once after each reload of a worker how to rehearse the last delivery that failed before it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._failed: dict[str, str] = {}
        """By workers, a message that was not acked."""
        bus.subscribe(BatchDelivered, self._on_delivered)
        bus.subscribe(WorkerReloaded, self._on_reloaded)

    def _on_delivered(self, event: BatchDelivered) -> None:
        settlement = event.settlement
        if event.worker and len(settlement.acked) != len(event.messages):
            failed = [*settlement.dead, *settlement.dropped, *(message for message, _ in settlement.retried)]
            if failed:
                self._failed[event.worker] = failed[0].id

    def _on_reloaded(self, event: WorkerReloaded) -> None:
        if event.failure is None and (failed := self._failed.pop(event.worker, "")):
            text = f"To run the batch that failed on this code, with no effect: emulator rehearse {failed[:8]}"
            self._bus.publish(Notice("info", text, event.worker))
