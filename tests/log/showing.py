"""Events to show, and what a terminal writes for them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulator.base.bus import Bus
from emulator.base.failure import Failure, Frame
from emulator.config.model import WorkerConfig
from emulator.hosts.triggers import in_order
from emulator.log.terminal import Terminal
from emulator.queues.events import BatchDelivered
from emulator.queues.message import QueueMessage, Settlement, Verdict
from tests.support.configs import make_config

FAILURE = Failure(
    "ConnectionError",
    "refused",
    (
        Frame("/app/src/entry.py", 31, "queue", "await send(event)", is_user=True),
        Frame("/app/src/mail.py", 6, "send", "client.post(event)", is_user=True),
        Frame("/lib/httpx/_client.py", 118, "post", "raise error", is_user=False),
    ),
    "Traceback (most recent call last):\n  ...\nOSError: no route\n\n"
    "The above exception was the direct cause of the following exception:\n\n"
    "Traceback (most recent call last):\n  ...\nConnectionError: refused",
)


class FakeHost:
    def __init__(self, config: WorkerConfig, handlers: set[str], failure: Failure | None = None) -> None:
        self.config = config
        self.handlers = in_order(handlers)
        self.failure = failure


def message(number: int = 1, **fields: Any) -> QueueMessage:
    return QueueMessage(f"{number:032x}"[::-1], b"{}", "json", 0.0, 0.0, **{"ready_at": 0.0, **fields})


def batch(
    settlement: Settlement,
    messages: int | Sequence[QueueMessage],
    verdict: Verdict | None = None,
    seconds: float = 0.012,
) -> BatchDelivered:
    """A batch of `messages`, or of as many as that, which was settled so."""
    made = [message(number) for number in range(messages)] if isinstance(messages, int) else list(messages)
    return BatchDelivered("my-app-events", "sign-up", made, verdict or Verdict(), settlement, 0.0, seconds)


def config(name: str = "sign-up", main: Path = Path("/app/src/entry.py"), **fields: Any) -> WorkerConfig:
    return make_config(name, Path("/app/wrangler.jsonc"), main, **fields)


def show(*published: object, hosts: Any = (), **options: Any) -> str:
    """What a terminal writes for these events."""
    bus, stream = Bus(), io.StringIO()
    terminal = Terminal(bus, stream=stream, **options)
    if hosts:
        terminal.introduce([host.config for host in hosts], hosts)
    for event in published:
        bus.publish(event)
    terminal.close()
    return stream.getvalue()


def records(*published: object, **options: Any) -> list[dict[str, Any]]:
    text = show(*published, log_format="json", **options)
    return [json.loads(line) for line in text.splitlines()]
