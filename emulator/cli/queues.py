"""`emulator queues`: looks at the queues of a running emulator, and changes them. It asks the REST API."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from emulator.base.words import count as counted
from emulator.cli.bodies import as_value, read_standard_input, to_push
from emulator.cli.options import session_options
from emulator.cli.queue_text import (
    MESSAGE_HEAD,
    QUEUE_HEAD,
    message_notes,
    message_row,
    queue_facts,
    queue_row,
    redrive_lines,
)
from emulator.cli.rest import RestClient, find_session
from emulator.cli.tables import print_json, print_pairs, print_table
from emulator.queues.settings import DELAY_SECONDS, PULL_BATCH_SIZE, RETENTION_SECONDS


class _InOrder(click.Group):
    """Lists its commands in the order of their definition: looking first, changing last."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)


@click.group(cls=_InOrder, short_help="Inspect and change the queues of a running emulator.")
def queues() -> None:
    """Inspect the queues of a running emulator, and change them.

    \b
    Examples:
      emulator queues list                               every queue and its backlog
      emulator queues send my-app-events '{"id": 7}'     send a message, as a producer would
      emulator queues peek my-app-events-dlq             what is in it, and why it died
      emulator queues redrive my-app-events-dlq          give dead letters another chance
    """


_name = click.argument("name", metavar="QUEUE")
_count = click.option(
    "-n",
    "--count",
    type=click.IntRange(*PULL_BATCH_SIZE),
    default=10,
    show_default=True,
    help="The most messages to show.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@queues.command("list", short_help="List the queues and their backlogs.")
@_as_json
@session_options
def list_(as_json: bool, url: str | None, token: str | None) -> None:
    """List the queues: how many messages are in each, how old the oldest one is, and who consumes it.

    \b
    Examples:
      emulator queues list
      emulator queues list --json
    """
    with _client(url, token) as rest:
        found = [{**each, "metrics": rest.ask("GET", each["queue_name"], "/metrics")} for each in rest.queues()]
    if as_json:
        print_json(found)
    else:
        print_table(QUEUE_HEAD, [queue_row(each) for each in found])


@queues.command(short_help="Show a queue's settings, consumer and backlog.")
@_name
@_as_json
@session_options
def info(name: str, as_json: bool, url: str | None, token: str | None) -> None:
    """Show a queue: its settings, its consumer and its backlog.

    \b
    Examples:
      emulator queues info my-app-events
    """
    with _client(url, token) as rest:
        queue = {**rest.ask("GET", name), "metrics": rest.ask("GET", name, "/metrics")}
    if as_json:
        print_json(queue)
    else:
        print_pairs(queue_facts(queue))


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
    help="Deliver the message this much later.",
)
@session_options
def send(
    name: str, body: str, *, form: str | None, delay_seconds: int | None, url: str | None, token: str | None
) -> None:
    """Send a message with this BODY: as JSON if it is JSON, else as text. If BODY is -, it is read from standard input,
    without the last line end.

    \b
    Examples:
      emulator queues send my-app-events '{"type": "welcome-email", "userId": 123}'
      emulator queues send my-app-events hello --delay 60
      emulator queues send my-app-events 42 --text
      emulator queues send my-app-events - < event.json
    """
    message = to_push(read_standard_input() if body == "-" else body, form)
    if delay_seconds is not None:
        message["delay_seconds"] = delay_seconds
    with _client(url, token) as rest:
        backlog = rest.ask("POST", name, "/messages", message)["metadata"]["metrics"]["backlog_count"]
    click.echo(f"Sent as {message['content_type']}; {name} now has {counted(backlog, 'message')}")


@queues.command(short_help="Show the messages that wait in a queue, and leave them there.")
@_name
@_count
@_as_json
@session_options
def peek(name: str, count: int, as_json: bool, url: str | None, token: str | None) -> None:
    """Show the messages that wait in a queue, and leave them there: their bodies, how often they were delivered, their
    age, and why a dead letter died.

    \b
    Examples:
      emulator queues peek my-app-events
      emulator queues peek my-app-events-dlq -n 100
      emulator queues peek my-app-events-dlq --json    whole bodies, every attempt with its traceback
    """
    with _client(url, token) as rest:
        found = rest.ask("POST", name, "/messages/peek", {"batch_size": count})["messages"]
    _print_messages(name, found, as_json=as_json)


@queues.command(short_help="Pull messages from a queue with a pull consumer.")
@_name
@_count
@click.option("--ack", is_flag=True, help="Acknowledge the messages once they are printed.")
@_as_json
@session_options
def pull(name: str, count: int, *, ack: bool, as_json: bool, url: str | None, token: str | None) -> None:
    """Pull messages from a queue whose consumer is of type http_pull. Without --ack they return to the queue when their
    lease expires, and the pull counts as an attempt.

    \b
    Examples:
      emulator queues pull tasks --ack
      emulator queues pull tasks -n 100 --json         with their lease ids
    """
    with _client(url, token) as rest:
        found = rest.ask("POST", name, "/messages/pull", {"batch_size": count})["messages"]
        _print_messages(name, found, as_json=as_json)
        if ack and found:
            sys.stdout.flush()
            rest.ask("POST", name, "/messages/ack", {"acks": [{"lease_id": each["lease_id"]} for each in found]})


@queues.command(short_help="Delete the messages that wait in a queue.")
@_name
@session_options
def purge(name: str, url: str | None, token: str | None) -> None:
    """Delete the messages that wait in a queue for good, delayed ones too. Messages that are being delivered are left
    alone.

    \b
    Examples:
      emulator queues purge my-app-events-dlq
    """
    with _client(url, token) as rest:
        rest.ask("POST", name, "/purge", {"delete_messages_permanently": True})
        left = rest.ask("GET", name, "/metrics")["backlog_count"]
    remain = counted(left, "message remains", "messages remain")
    click.echo(f"Purged {name}" + (f"; {remain}, being delivered or newly sent" if left else ""))


@queues.command(short_help="Pause a queue's deliveries.")
@_name
@session_options
def pause(name: str, url: str | None, token: str | None) -> None:
    """Stop delivering a queue's messages. It still accepts new ones.

    \b
    Examples:
      emulator queues pause my-app-events
    """
    _set_paused(name, url, token, paused=True)


@queues.command(short_help="Resume a queue's deliveries.")
@_name
@session_options
def resume(name: str, url: str | None, token: str | None) -> None:
    """Deliver the messages of a paused queue again.

    \b
    Examples:
      emulator queues resume my-app-events
    """
    _set_paused(name, url, token, paused=False)


@queues.command(short_help="Make delayed messages and retries ready at once.")
@_name
@session_options
def promote(name: str, url: str | None, token: str | None) -> None:
    """Make the delayed messages that wait in QUEUE ready at once, instead of when their delay is over: those that were
    sent with a delay, and retries. Their attempts stay as they are.

    \b
    Examples:
      emulator queues promote my-app-events
    """
    with _client(url, token) as rest:
        promoted = rest.promote(name)
    ready = f"{counted(promoted, 'message')} of {name} {'is' if promoted == 1 else 'are'} ready"
    click.echo(ready if promoted else f"No messages of {name} are delayed")


@queues.command(short_help="Send dead letters back to the queues they came from.")
@_name
@click.option("--to", metavar="QUEUE", help="Move every waiting message to this queue instead, dead letter or not.")
@_as_json
@session_options
def redrive(name: str, to: str | None, as_json: bool, url: str | None, token: str | None) -> None:
    """Send the dead letters that wait in QUEUE back to the queues they came from. They keep their ids, and their
    attempts start again from zero.

    \b
    Examples:
      emulator queues redrive my-app-events-dlq
      emulator queues redrive my-app-events-dlq --to my-app-events-slow
    """
    with _client(url, token) as rest:
        rest.ask("GET", name)
        done = rest.redrive(name, to)
    if as_json:
        print_json(done)
    else:
        click.echo("\n".join(redrive_lines(name, done)))


_delay = click.option(
    "--delivery-delay-secs",
    "delivery_delay",
    metavar="SECONDS",
    type=click.IntRange(*DELAY_SECONDS),
    help="How long a message waits that is sent without a delay of its own.  [default of a new queue: 0]",
)
_retention = click.option(
    "--message-retention-period-secs",
    "retention",
    metavar="SECONDS",
    type=click.IntRange(*RETENTION_SECONDS),
    help="How long a message is kept, if nobody consumes it.  [default of a new queue: 345600, four days]",
)


@queues.command(short_help="Create a queue.")
@_name
@_delay
@_retention
@session_options
def create(name: str, *, delivery_delay: int | None, retention: int | None, url: str | None, token: str | None) -> None:
    """Create a queue. It is there until the emulator ends; one that a configuration names is there without that.

    \b
    Examples:
      emulator queues create my-app-events
      emulator queues create my-app-events --message-retention-period-secs 3600
    """
    with _client(url, token) as rest:
        rest.create(name, _settings(delivery_delay, retention))
    click.echo(f"Created {name}")


@queues.command(short_help="Change the settings of a queue.")
@_name
@_delay
@_retention
@session_options
def update(name: str, *, delivery_delay: int | None, retention: int | None, url: str | None, token: str | None) -> None:
    """Change the settings of a queue.

    \b
    Examples:
      emulator queues update my-app-events --message-retention-period-secs 3600
    """
    settings = _settings(delivery_delay, retention)
    if not settings:
        raise click.UsageError("Nothing to change: give --delivery-delay-secs or --message-retention-period-secs.")
    with _client(url, token) as rest:
        rest.ask("PATCH", name, body={"settings": settings})
    click.echo(f"Updated {name}")


@queues.command(short_help="Delete a queue and its messages.")
@_name
@session_options
def delete(name: str, url: str | None, token: str | None) -> None:
    """Delete a queue and its messages for good.

    \b
    Examples:
      emulator queues delete my-app-events
    """
    with _client(url, token) as rest:
        rest.ask("DELETE", name)
    click.echo(f"Deleted {name}")


def _client(url: str | None, token: str | None) -> RestClient:
    return RestClient(find_session(url, token))


def _settings(delivery_delay: int | None, retention: int | None) -> dict[str, int]:
    given = {"delivery_delay": delivery_delay, "message_retention_period": retention}
    return {name: value for name, value in given.items() if value is not None}


def _set_paused(name: str, url: str | None, token: str | None, *, paused: bool) -> None:
    with _client(url, token) as rest:
        rest.ask("PATCH", name, body={"settings": {"delivery_paused": paused}})
    click.echo(f"Delivery of {name} is {'paused' if paused else 'on'}")


def _print_messages(name: str, found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json([{**each, "body": as_value(each)} for each in found])
    elif found:
        now_ms = time.time() * 1000
        rows = [message_row(each, now_ms) for each in found]
        print_table(MESSAGE_HEAD, rows, [list(message_notes(each, now_ms)) for each in found])
    else:
        click.echo(f"{name} has no messages to show")
