from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict

from emulator_runtime.values import AttributeDict

class QueueMetrics(AttributeDict):
    """The backlog of a queue."""

    backlogCount: int
    backlogBytes: int
    oldestMessageTimestamp: datetime | None

class QueueMetadata(AttributeDict):
    metrics: QueueMetrics

class QueueSent(AttributeDict):
    """What a send returns: the backlog after it."""

    metadata: QueueMetadata

class QueueBatchEntry(TypedDict, total=False):
    """A message of `sendBatch`."""

    body: Any
    contentType: Literal["json", "text", "bytes", "v8"]
    delaySeconds: int

class Queue:
    """Sends messages to a queue."""

    async def send(
        self,
        body: Any,
        options: Mapping[str, Any] | None = None,
        /,
        *,
        contentType: Literal["json", "text", "bytes", "v8"] = ...,
        delaySeconds: int = ...,
    ) -> QueueSent:
        """Send one message. When it returns, the message is accepted."""

    async def sendBatch(
        self,
        messages: Iterable[QueueBatchEntry | Mapping[str, Any]],
        options: Mapping[str, Any] | None = None,
        /,
        *,
        delaySeconds: int = ...,
    ) -> QueueSent:
        """Send at most 100 messages, all or none."""

    async def metrics(self) -> QueueMetrics:
        """The backlog."""
