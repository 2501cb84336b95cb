"""The argument of a `scheduled` handler."""

from __future__ import annotations

from typing import Final


class ScheduledController:
    """The `controller` of a `scheduled` handler. `cron` is the expression that fired; `scheduledTime` is when it was
    due, in milliseconds since the epoch."""

    __slots__ = ("cron", "scheduledTime")

    type: Final = "scheduled"

    def __init__(self, cron: str, scheduled_time_ms: int) -> None:
        self.cron = cron
        self.scheduledTime = scheduled_time_ms

    def noRetry(self) -> None:
        """Has no effect: the emulator does not retry `scheduled` events."""

    def __repr__(self) -> str:
        return f"<ScheduledController cron={self.cron!r} scheduledTime={self.scheduledTime}>"
