"""What workerd says of an event that it has delivered."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from emulator.queues.message import Outcome, Verdict

_OUTCOMES: Final[dict[str, Outcome]] = {
    "ok": "ok",
    "exceededCpu": "exceeded_cpu",
    "exceededWallTime": "exceeded_wall_time",
}


class _RetryBatch(msgspec.Struct, rename="camel", gc=False):
    retry: bool = False
    delay_seconds: int | None = None


class _Retry(msgspec.Struct, rename="camel", gc=False):
    msg_id: str
    delay_seconds: int | None = None


class Result(msgspec.Struct, rename="camel", gc=False):
    """What workerd says of a batch: the outcome, and what the handler asked for."""

    outcome: str
    ack_all: bool = False
    retry_batch: _RetryBatch = msgspec.field(default_factory=_RetryBatch)
    explicit_acks: list[str] = []
    retry_messages: list[_Retry] = []
    failure: dict[str, Any] | None = None

    def verdict(self) -> Verdict:
        """What the handler decided, without a failure."""
        return Verdict(
            _OUTCOMES.get(self.outcome, "exception"),
            self.ack_all,
            self.retry_batch.retry,
            self.retry_batch.delay_seconds,
            frozenset(self.explicit_acks),
            {retry.msg_id: retry.delay_seconds for retry in self.retry_messages},
        )


read_result: Final = msgspec.json.Decoder(Result).decode
