"""What runs, as a block of lines: each worker with its bindings and schedules, then the queues with their settings.

`emulator dev` shows it when it is ready, `emulator check` in place of running.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from emulator.base.words import count, cut, period, shown_path
from emulator.config.model import WorkerConfig
from emulator.log.style import Style
from emulator.queues.settings import ConsumerSettings, QueueSettings

if TYPE_CHECKING:
    from emulator.hosts.host import Host

_MAX_VALUE = 48


def describe(hosts: Sequence[Host], style: Style, url: str = "") -> list[str]:
    """The lines of the block. With several workers and a `url`, each but the first has its own address."""
    lines: list[str] = []
    for index, host in enumerate(hosts):
        if index:
            lines.append("")
        address = _own_address(host.config.name, url) if index and url else ""
        lines += _worker(host, style, address)
    queues = list(_queues([host.config for host in hosts], style))
    if queues:
        lines += ["", *queues]
    return lines


def bindings(config: WorkerConfig) -> Iterator[tuple[str, str, str]]:
    """Every name that `env` holds, as `(name, kind, value)`: a `queue`, a `var`, or a `secret` without its value."""
    for producer in config.producers:
        yield producer.binding, "queue", producer.queue
    for name, value in config.vars.items():
        if name not in config.secrets:
            yield name, "var", json.dumps(value, ensure_ascii=False, default=str)
    for name in config.secrets:
        yield name, "secret", ""


def sorted_handlers(host: Host) -> list[str]:
    """The worker's entrypoints in the order of the documentation."""
    return list(host.handlers)


def _worker(host: Host, style: Style, address: str) -> list[str]:
    config = host.config
    state = style.red("failed to load") if host.failure else ", ".join(sorted_handlers(host))
    environment = f" in {config.environment}" if config.environment else ""
    head = f"{style.bold(config.name)}{environment}  {style.dim(shown_path(config.main))}  {state}"
    rows = [(f"env.{name}", _value(kind, value, config, name)) for name, kind, value in bindings(config)]
    rows += [("cron", cron) for cron in config.crons]
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"{head}  {style.bold(address)}" if address else head]
    return lines + [f"  {name:<{width}}  {style.dim(value)}" for name, value in rows]


def _value(kind: str, value: str, config: WorkerConfig, name: str) -> str:
    if kind == "secret":
        return "(secret)"
    if kind == "queue":
        delays = [producer.delivery_delay for producer in config.producers if producer.binding == name]
        delay = f", delayed by {period(delays[0])}" if delays and delays[0] else ""
        return f"queue {value}{delay}"
    return cut(value, _MAX_VALUE)


def _queues(configs: Sequence[WorkerConfig], style: Style) -> Iterator[str]:
    """A line for each queue that some worker sends to, consumes or gives its dead letters to."""
    settings: dict[str, str] = {}
    named: dict[str, None] = {}
    for config in configs:
        for producer in config.producers:
            named.setdefault(producer.queue)
        for consumer in config.consumers:
            named.setdefault(consumer.queue)
            settings[consumer.queue] = _consumer(config.name, consumer.settings)
    for config in configs:
        for consumer in config.consumers:
            if consumer.settings.dead_letter_queue:
                named.setdefault(consumer.settings.dead_letter_queue)
    kept = f"no consumer: keeps messages for {period(QueueSettings().message_retention_period)}"
    width = max(map(len, named), default=0)
    for name in named:
        yield f"{style.bold('queue')} {name:<{width}}  {style.dim(settings.get(name, kept))}"


def _consumer(worker: str, settings: ConsumerSettings) -> str:
    if settings.type == "http_pull":
        parts = ["pulled over HTTP"]
    else:
        size = count(settings.max_batch_size, "message")
        wait = f"or {period(settings.max_batch_timeout)}" if settings.max_batch_timeout else "at most, without waiting"
        parts = [f"to {worker}: {size} {wait}"]
    retries = count(settings.max_retries, "retry", "retries")
    parts.append(f"{retries} after {period(settings.retry_delay)}" if settings.retry_delay else retries)
    if settings.max_concurrency is not None:
        parts.append(f"{settings.max_concurrency} at a time")
    parts.append(f"then to {settings.dead_letter_queue}" if settings.dead_letter_queue else "then dropped")
    return ", ".join(parts)


def _own_address(name: str, url: str) -> str:
    """Where a worker that is not the first answers: its name as a subdomain of localhost, on the same port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{name}.localhost:{parts.port}"
