"""`emulator queues`: looks into the queues of a running emulator, and changes them. It asks the REST API."""

from __future__ import annotations

import json
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import click

from emulator.base.errors import EmulatorError
from emulator.cli.running import Rest, find, token_option, url_option
from emulator.log.style import Style, wants_color
from emulator.queues.settings import DELAY_SECONDS

_MOST_MESSAGES = 100
_MAX_BODY = 400
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))

F = TypeVar("F", bound=Callable[..., Any])


class _InOrder(click.Group):
    """Lists its commands as they are defined here: looking first, changing last."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)


@click.group(cls=_InOrder, short_help="Look into the queues of a running emulator.")
def queues() -> None:
    """Look into the queues of a running emulator, and change them.

    \b
    Examples:
      emulator queues list                               every queue and its backlog
      emulator queues send my-app-events '{"id": 7}'     as a producer would
      emulator queues peek my-app-events-dlq             what is in it, and why it died
      emulator queues redrive my-app-events-dlq          give it another chance
    """


_name = click.argument("name", metavar="QUEUE")
_count = click.option(
    "-n",
    "--count",
    type=click.IntRange(1, _MOST_MESSAGES),
    default=10,
    show_default=True,
    help="How many messages, at most.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def _session_options(command: F) -> F:
    return url_option(token_option(command))


@queues.command("list", short_help="Every queue and its backlog.")
@_as_json
@_session_options
def list_(as_json: bool, url: str | None, token: str | None) -> None:
    """List the queues: how many messages are in each, since when, and who consumes it.

    \b
    Examples:
      emulator queues list
      emulator queues list --json
    """
    with Rest(find(url, token)) as rest:
        found = [{**each, "metrics": rest.ask("GET", each["queue_name"], "/metrics")} for each in rest.queues()]
    if as_json:
        _print_json(found)
        return
    rows = [
        (each["queue_name"], f"{each['metrics']['backlog_count']:,}", _oldest(each["metrics"]), _consumer(each))
        for each in found
    ]
    _print_table(("QUEUE", "MESSAGES", "OLDEST", "CONSUMER"), rows)


@queues.command(short_help="A queue's settings, consumer and backlog.")
@_name
@_as_json
@_session_options
def info(name: str, as_json: bool, url: str | None, token: str | None) -> None:
    """Show a queue: its settings, its consumer and its backlog.

    \b
    Examples:
      emulator queues info my-app-events
    """
    with Rest(find(url, token)) as rest:
        queue = {**rest.ask("GET", name), "metrics": rest.ask("GET", name, "/metrics")}
    if as_json:
        _print_json(queue)
        return
    metrics, settings = queue["metrics"], queue["settings"]
    rows = [
        ("queue", queue["queue_name"]),
        ("id", queue["queue_id"]),
        ("messages", f"{metrics['backlog_count']:,} of {metrics['backlog_bytes']:,} bytes"),
        ("oldest", _oldest(metrics) or "none"),
        ("producers", ", ".join(each["script"] for each in queue["producers"]) or "none"),
        ("consumer", _consumer(queue)),
        ("delivery", "paused" if settings["delivery_paused"] else "on"),
        ("delay", _span(settings["delivery_delay"])),
        ("kept for", _span(settings["message_retention_period"])),
    ]
    for consumer in queue["consumers"]:
        rows += [(key, "unlimited" if value is None else str(value)) for key, value in consumer["settings"].items()]
        rows.append(("dead_letter_queue", consumer["dead_letter_queue"] or "none"))
    width = max(len(key) for key, _ in rows)
    style = _style()
    for key, value in rows:
        click.echo(f"{style.dim(f'{key:<{width}}')}  {_clean(value)}", color=True)


@queues.command(short_help="Send a message.")
@_name
@click.argument("body")
@click.option("--text", "form", flag_value="text", help="Send BODY as text, even if it is JSON.")
@click.option("--json", "form", flag_value="json", help="Refuse a BODY that is not JSON.")
@click.option(
    "--delay",
    "delay_seconds",
    metavar="SECONDS",
    type=click.IntRange(*DELAY_SECONDS),
    help="Deliver it that much later.",
)
@_session_options
def send(
    name: str, body: str, *, form: str | None, delay_seconds: int | None, url: str | None, token: str | None
) -> None:
    """Send a message with this BODY: JSON if it is that, else text. A BODY of - is standard input, without its last
    line end.

    \b
    Examples:
      emulator queues send my-app-events '{"type": "welcome-email", "userId": 123}'
      emulator queues send my-app-events hello --delay 60
      emulator queues send my-app-events 42 --text
      emulator queues send my-app-events - < event.json
    """
    message = _message(_standard_input() if body == "-" else body, form)
    if delay_seconds is not None:
        message["delay_seconds"] = delay_seconds
    with Rest(find(url, token)) as rest:
        backlog = rest.ask("POST", name, "/messages", message)["metadata"]["metrics"]["backlog_count"]
    click.echo(f"Sent as {message['content_type']}; {name} has {_messages(backlog)} now")


@queues.command(short_help="Show what waits in a queue, and leave it there.")
@_name
@_count
@_as_json
@_session_options
def peek(name: str, count: int, as_json: bool, url: str | None, token: str | None) -> None:
    """Show the messages that wait in a queue, and leave them there: their bodies, deliveries so far and age, and of a
    dead letter, why it died.

    \b
    Examples:
      emulator queues peek my-app-events
      emulator queues peek my-app-events-dlq -n 100
      emulator queues peek my-app-events-dlq --json    whole bodies, every attempt with its traceback
    """
    with Rest(find(url, token)) as rest:
        found = rest.ask("POST", name, "/messages/peek", {"batch_size": count})["messages"]
    _print_messages(name, found, as_json=as_json)


@queues.command(short_help="Take messages from a queue with a pull consumer.")
@_name
@_count
@click.option("--ack", is_flag=True, help="Acknowledge them once they are printed.")
@_as_json
@_session_options
def pull(name: str, count: int, *, ack: bool, as_json: bool, url: str | None, token: str | None) -> None:
    """Take messages from a queue whose consumer is of type http_pull. Those that are not acknowledged come back when
    their lease is over, and that was an attempt.

    \b
    Examples:
      emulator queues pull tasks --ack
      emulator queues pull tasks -n 100 --json         with their lease ids
    """
    with Rest(find(url, token)) as rest:
        found = rest.ask("POST", name, "/messages/pull", {"batch_size": count})["messages"]
        _print_messages(name, found, as_json=as_json)
        if ack and found:
            sys.stdout.flush()
            rest.ask("POST", name, "/messages/ack", {"acks": [{"lease_id": each["lease_id"]} for each in found]})


@queues.command(short_help="Delete what waits in a queue.")
@_name
@_session_options
def purge(name: str, url: str | None, token: str | None) -> None:
    """Delete the messages that wait in a queue, delayed ones too, for good. What is being delivered is left alone.

    \b
    Examples:
      emulator queues purge my-app-events-dlq
    """
    with Rest(find(url, token)) as rest:
        rest.ask("POST", name, "/purge", {"delete_messages_permanently": True})
        left = rest.ask("GET", name, "/metrics")["backlog_count"]
    click.echo(f"Purged {name}" + (f"; {_messages(left)} in delivery, or new, remain" if left else ""))


@queues.command(short_help="Stop delivering a queue's messages.")
@_name
@_session_options
def pause(name: str, url: str | None, token: str | None) -> None:
    """Stop delivering a queue's messages. It still accepts them.

    \b
    Examples:
      emulator queues pause my-app-events
    """
    _set_paused(name, url, token, paused=True)


@queues.command(short_help="Deliver a queue's messages again.")
@_name
@_session_options
def resume(name: str, url: str | None, token: str | None) -> None:
    """Deliver the messages of a paused queue again.

    \b
    Examples:
      emulator queues resume my-app-events
    """
    _set_paused(name, url, token, paused=False)


@queues.command(short_help="Send dead letters back to where they came from.")
@_name
@click.option("--to", metavar="QUEUE", help="Send everything that waits there, instead, whatever it is.")
@_as_json
@_session_options
def redrive(name: str, to: str | None, as_json: bool, url: str | None, token: str | None) -> None:
    """Send the dead letters that wait in QUEUE back to the queues that they came from. They keep their ids and begin
    again with their attempts.

    \b
    Examples:
      emulator queues redrive my-app-events-dlq
      emulator queues redrive my-app-events-dlq --to my-app-events-slow
    """
    with Rest(find(url, token)) as rest:
        rest.ask("GET", name)
        done = rest.redrive(name, to)
    if as_json:
        _print_json(done)
        return
    for target, count in done["moved"].items():
        click.echo(f"Moved {_messages(count)} from {name} to {target}")
    for origin, count in done["orphans"].items():
        click.echo(f"Left {_messages(count)} in {name}: there is no queue {origin} any more (--to names another)")
    if done["no_dead_letters"]:
        click.echo(f"Left {_messages(done['no_dead_letters'])} in {name}: no dead letter (--to says where they go)")
    if not any(done.values()):
        click.echo(f"Nothing waits in {name}")


def _set_paused(name: str, url: str | None, token: str | None, *, paused: bool) -> None:
    with Rest(find(url, token)) as rest:
        rest.ask("PATCH", name, body={"settings": {"delivery_paused": paused}})
    click.echo(f"Delivery of {name} is {'paused' if paused else 'on'}")


# Sending


def _standard_input() -> str:
    data = sys.stdin.buffer.read()
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise EmulatorError(f"standard input is not UTF-8: {error}") from None


def _message(body: str, form: str | None) -> dict[str, Any]:
    """What to push. Raises EmulatorError for what cannot be: over HTTP a body is JSON or text."""
    try:
        body.encode()
    except UnicodeEncodeError:
        raise EmulatorError("BODY is not UTF-8") from None
    if form != "text":
        try:
            value = json.loads(body, parse_constant=_refuse_constant)
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # 1e999 and lone surrogates cannot be sent
            return {"body": value, "content_type": "json"}
        except (ValueError, RecursionError) as error:
            if form == "json":
                raise EmulatorError(f"BODY is not JSON: {error}") from None
    return {"body": body, "content_type": "text"}


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Showing


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def _print_messages(name: str, found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        _print_json([{**each, "body": _json_body(each)} for each in found])
        return
    if not found:
        click.echo(f"{name} has nothing to show")
        return
    now_ms = time.time() * 1000
    rows = [
        (each["id"][:8], _span((now_ms - each["timestamp_ms"]) / 1000), str(each["attempts"]), _shown_body(each))
        for each in found
    ]
    notes = [list(_notes(each.get("emulator", {}), now_ms)) for each in found]
    _print_table(("ID", "AGE", "ATTEMPTS", "BODY"), rows, notes)


def _json_body(message: dict[str, Any]) -> Any:
    """A body for machines: what a JSON one says; text as it is; all else in base64, as the API has it."""
    if message["metadata"]["CF-Content-Type"] != "json":
        return message["body"]
    return json.loads(b64decode(message["body"]))


def _shown_body(message: dict[str, Any]) -> str:
    from emulator.wire.codec import decode

    kind, body = message["metadata"]["CF-Content-Type"], message["body"]
    if kind == "json":
        body = b64decode(body).decode("utf-8", "replace")
    elif kind != "text":
        try:
            body = repr(decode(b64decode(body), kind))
        except ValueError:
            body = f"{kind}, damaged: {body}"
    return body if len(body) <= _MAX_BODY else f"{body[:_MAX_BODY]}... ({len(body):,} characters; --json has all)"


def _notes(inside: dict[str, Any], now_ms: float) -> Iterator[str]:
    """Lines on what went wrong with a message, and how long it is delayed."""
    letter = inside.get("dead_letter")
    if letter is not None:
        attempts = len(letter["attempts"])
        tries = f"{attempts} attempt{'' if attempts == 1 else 's'}"
        ago = _span((now_ms - letter["died_at_ms"]) / 1000)
        yield f"died in {letter['queue']} {ago} ago after {tries}: {letter['error'] or 'no error told'}"
    failures = inside.get("failed_attempts")
    if failures:
        last = failures[-1]
        yield f"last attempt failed: {last['error'] or last['outcome']}"
    wait = (inside.get("ready_at_ms", 0) - now_ms) / 1000
    if wait > 0:
        yield f"delayed for {_span(wait)} more"


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Iterable[Sequence[str]] = ()) -> None:
    """Aligned columns, the last as wide as it likes, and the lines of `notes` below their rows."""
    style = _style()
    cells = [[_clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    below = list(notes) or [()] * len(cells)
    click.echo(style.dim(_aligned(head, widths)), color=True)
    for row, lines in zip(cells, below, strict=True):
        click.echo(_aligned(row, widths), color=True)
        for line in lines:
            click.echo(f"{'':<{widths[0]}}  {style.yellow(_clean(line))}", color=True)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _style() -> Style:
    return Style(wants_color(sys.stdout))


def _clean(text: str) -> str:
    from emulator.log.text import clean

    return clean(text)


def _messages(count: int) -> str:
    return f"{count:,} message{'' if count == 1 else 's'}"


def _consumer(queue: dict[str, Any]) -> str:
    paused = ", delivery paused" if queue["settings"]["delivery_paused"] else ""
    for consumer in queue["consumers"]:
        who = "pulled over HTTP" if consumer["type"] == "http_pull" else consumer["script"]
        letters = f", then {consumer['dead_letter_queue']}" if consumer["dead_letter_queue"] else ""
        return f"{who}{letters}{paused}"
    elsewhere = queue.get("emulator", {}).get("forwarded_to")
    return f"{elsewhere or 'none'}{paused}"


def _oldest(metrics: dict[str, int]) -> str:
    """How long ago the oldest message was sent; empty where there is none."""
    at_ms = metrics["oldest_message_timestamp_ms"]
    return _span(time.time() - at_ms / 1000) if at_ms else ""


def _span(seconds: float) -> str:
    """A length of time in its largest unit: `5 s`, `2 min`, `4 d`."""
    for unit, name in _UNITS:
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"
