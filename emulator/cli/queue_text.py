"""What the REST API says of queues and messages, in the words of `emulator queues`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from emulator.base.words import age, count, period
from emulator.cli.bodies import as_text

QUEUE_HEAD = ("QUEUE", "MESSAGES", "OLDEST", "CONSUMER")
MESSAGE_HEAD = ("ID", "AGE", "ATTEMPTS", "BODY")


def queue_row(queue: dict[str, Any]) -> tuple[str, str, str, str]:
    """A queue with its `metrics` as a row below `QUEUE_HEAD`."""
    metrics = queue["metrics"]
    return queue["queue_name"], f"{metrics['backlog_count']:,}", _oldest(metrics), _consumer(queue)


def queue_facts(queue: dict[str, Any]) -> list[tuple[str, str]]:
    """A queue with its `metrics` as names and values."""
    metrics, settings = queue["metrics"], queue["settings"]
    facts = [
        ("queue", queue["queue_name"]),
        ("id", queue["queue_id"]),
        ("messages", f"{metrics['backlog_count']:,} ({count(metrics['backlog_bytes'], 'byte')})"),
        ("oldest", _oldest(metrics) or "none"),
        ("producers", ", ".join(each["script"] for each in queue["producers"]) or "none"),
        ("consumer", _consumer(queue)),
        ("delivery", "paused" if settings["delivery_paused"] else "on"),
        ("delay", period(settings["delivery_delay"])),
        ("kept for", period(settings["message_retention_period"])),
    ]
    for key, sessions in queue.get("emulator", {}).items():
        if not isinstance(sessions, str):
            facts.append((key.replace("_", " "), ", ".join(sessions) or "no session"))
    for consumer in queue["consumers"]:
        facts += [(key, "unlimited" if value is None else str(value)) for key, value in consumer["settings"].items()]
        facts.append(("dead_letter_queue", consumer["dead_letter_queue"] or "none"))
    return facts


def message_row(message: dict[str, Any], now_ms: float) -> tuple[str, str, str, str]:
    """A message as a row below `MESSAGE_HEAD`."""
    sent_ago = age((now_ms - message["timestamp_ms"]) / 1000)
    return message["id"][:8], sent_ago, str(message["attempts"]), as_text(message)


def message_notes(message: dict[str, Any], now_ms: float) -> Iterator[str]:
    """Lines about what went wrong with a message, and how long it is delayed."""
    inside = message.get("emulator", {})
    letter = inside.get("dead_letter")
    if letter is not None:
        tries = count(len(letter["attempts"]), "attempt")
        ago = age((now_ms - letter["died_at_ms"]) / 1000)
        yield f"died in {letter['queue']} {ago} ago after {tries}: {letter['error'] or 'no error was given'}"
    failures = inside.get("failed_attempts")
    if failures:
        last = failures[-1]
        yield f"last attempt failed: {last['error'] or last['outcome']}"
    wait = (inside.get("ready_at_ms", 0) - now_ms) / 1000
    if wait > 0:
        yield f"delayed for {age(wait)} more"


def redrive_lines(queue: str, done: dict[str, Any]) -> Iterator[str]:
    """What became of the messages of a queue that was redriven."""
    for target, number in done["moved"].items():
        yield f"Moved {count(number, 'message')} from {queue} to {target}"
    for origin, number in done["orphans"].items():
        yield f"Left {count(number, 'message')} in {queue}: queue {origin} no longer exists (--to names another one)"
    if done["no_dead_letters"]:
        what = count(done["no_dead_letters"], "message that is not a dead letter", "messages that are not dead letters")
        yield f"Left {what} in {queue} (--to moves everything)"
    if not any(done.values()):
        yield f"No messages are waiting in {queue}"


def _consumer(queue: dict[str, Any]) -> str:
    paused = ", delivery paused" if queue["settings"]["delivery_paused"] else ""
    elsewhere = queue.get("emulator", {})
    for consumer in queue["consumers"]:
        who = "pulled over HTTP" if consumer["type"] == "http_pull" else consumer["script"]
        who += _where(elsewhere.get("consumed_by", ()))
        letters = f", then {consumer['dead_letter_queue']}" if consumer["dead_letter_queue"] else ""
        return f"{who}{letters}{paused}"
    return f"{elsewhere.get('forwarded_to', 'none')}{paused}"


def _where(sessions: Sequence[str]) -> str:
    """On which hosts sessions run; empty if there are none."""
    hosts = sorted({each.partition(" (")[0] for each in sessions})
    return f" on {', '.join(hosts)} ({count(len(sessions), 'session')})" if hosts else ""


def _oldest(metrics: dict[str, int]) -> str:
    """How long ago the oldest message was sent; empty where there is none."""
    at_ms = metrics["oldest_message_timestamp_ms"]
    return age(time.time() - at_ms / 1000) if at_ms else ""
