"""What there is on the server for a queue: names, and how its stream and its consumer are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from emulator.base.errors import EmulatorError
from emulator.queues.jetstream.connection import Connection
from emulator.queues.jetstream.errors import STREAM_IN_USE, STREAM_NOT_FOUND, RefusedError

CONSUMER: Final = "c"
GROUP: Final = "g"
IDLE_PRIORITY: Final = 9
"""Who has no message yet waits for whoever fills a batch, which has priority 0."""

ACK_WAIT_SECONDS: Final = 30.0
"""How long after the end of a process its messages are delivered to another."""

DUPLICATE_WINDOW_SECONDS: Final = 120.0
KEPT_LONGER_SECONDS: Final = 300.0
"""How much longer than the retention period the server keeps what no session has deleted and told of."""

_MADE_BY: Final = "workers-emulator"
_NS: Final = 10**9


class Names(msgspec.Struct, frozen=True):
    """The names of a queue on the server."""

    stream: str
    ready: str
    delayed: str
    """A delayed message has a subject of its own: this, a dot, and its token."""
    all: str
    """Both of them."""


def names_of(prefix: str, queue: str) -> Names:
    """The names of a queue with this prefix."""
    base = f"{prefix}.q.{queue}"
    return Names(f"{prefix}-q-{queue}", f"{base}.m", f"{base}.d", f"{base}.>")


async def make_stream(connection: Connection, names: Names, retention_seconds: float) -> None:
    """Make the stream and the consumer of a queue, or change how long messages are kept. Raises EmulatorError if
    somebody else has made a stream of that name."""
    await _make(connection, _stream(connection, names, retention_seconds))
    ack_wait = round(ACK_WAIT_SECONDS * connection.pace * _NS)
    await connection.api(
        f"CONSUMER.CREATE.{names.stream}.{CONSUMER}",
        {
            "stream_name": names.stream,
            "config": {
                "durable_name": CONSUMER,
                "ack_policy": "explicit",
                "ack_wait": ack_wait,
                "max_deliver": -1,
                "max_ack_pending": -1,
                "max_waiting": 2000,
                "filter_subject": names.ready,
                "priority_groups": [GROUP],
                "priority_policy": "prioritized",
            },
        },
    )


async def drop_stream(connection: Connection, queue: str) -> None:
    """Delete the stream of a queue with all messages, if it is there."""
    name = names_of(connection.address.prefix, queue).stream
    try:
        # A stream that is made again under the same name at once would have its old messages (nats-server 2.15).
        await connection.api(f"STREAM.PURGE.{name}")
        await connection.api(f"STREAM.DELETE.{name}")
    except RefusedError as error:
        if error.number != STREAM_NOT_FOUND:
            raise


async def make_bucket(connection: Connection, stream: str, subjects: str) -> None:
    """Make the stream of a key-value bucket: the newest value of each key."""
    config = {
        "name": stream,
        "subjects": [subjects],
        "max_msgs_per_subject": 1,
        "storage": "file",
        "num_replicas": connection.address.replicas,
        "discard": "new",
        "allow_msg_ttl": True,
        "allow_atomic": True,
        "allow_rollup_hdrs": True,
        "metadata": {"made_by": _MADE_BY},
    }
    await _make(connection, config)


async def _make(connection: Connection, config: Mapping[str, Any]) -> None:
    """Make a stream, or change how long it keeps messages if it is there."""
    name, max_age = config["name"], config.get("max_age", 0)
    try:
        await connection.api(f"STREAM.CREATE.{name}", config)
    except RefusedError as error:
        if error.number != STREAM_IN_USE:
            raise
        there = (await connection.api(f"STREAM.INFO.{name}"))["config"]
        if there.get("metadata", {}).get("made_by") != _MADE_BY:
            raise EmulatorError(
                f"the NATS server at {connection.address} has a stream {name} that the emulator did not make: delete "
                f"it there, or choose another ?prefix="
            ) from None
        if there["max_age"] != max_age:
            await connection.api(f"STREAM.UPDATE.{name}", {**there, "max_age": max_age})


def _stream(connection: Connection, names: Names, retention_seconds: float) -> dict[str, Any]:
    seconds = retention_seconds + KEPT_LONGER_SECONDS
    return {
        "name": names.stream,
        "subjects": [names.ready, f"{names.delayed}.*"],
        "retention": "workqueue",
        "storage": "file",
        "num_replicas": connection.address.replicas,
        "discard": "old",
        "max_age": round(seconds * connection.pace * _NS),
        "duplicate_window": round(DUPLICATE_WINDOW_SECONDS * connection.pace * _NS),
        "allow_msg_schedules": True,
        "allow_msg_ttl": True,
        "allow_atomic": True,
        "allow_direct": True,
        "metadata": {"made_by": _MADE_BY},
    }
