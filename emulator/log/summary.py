"""What runs, as a block of lines: each worker with its bindings and schedules, then what the binding kinds have to say
about all of them together, such as the queues with their settings.

`emulator dev` shows it when it is ready, `emulator check` in place of running.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from emulator.base.words import clean, shown_path
from emulator.bindings.kind import BindingKind
from emulator.bindings.open_kinds import in_force
from emulator.bindings.registry import KINDS
from emulator.config.model import WorkerConfig
from emulator.log.style import Style

if TYPE_CHECKING:
    from emulator.hosts.host import WorkerHost

DAY_SECONDS: Final = 86_400


def describe(hosts: Sequence[WorkerHost], style: Style, url: str = "") -> list[str]:
    """The lines of the block. With several workers and a `url`, each but the first has its own address."""
    lines: list[str] = []
    for index, host in enumerate(hosts):
        if index:
            lines.append("")
        address = _own_address(host.config.name, url) if index and url else ""
        lines += _worker(host, style, address)
    overviews = list(_overviews([host.config for host in hosts], style))
    if overviews:
        lines += ["", *overviews]
    return lines


def bindings(config: WorkerConfig) -> Iterator[tuple[BindingKind[Any], str, Any]]:
    """Every name that `env` holds, as `(kind, name, settings)`: plain values last."""
    kinds = in_force(KINDS, config)
    for kind, settings in sorted(kinds, key=lambda each: each[0].is_value):
        yield from ((kind, name, each) for name, each in settings.items())


def sorted_handlers(host: WorkerHost) -> list[str]:
    """The worker's entrypoints in the order of the documentation."""
    return list(host.handlers)


def _worker(host: WorkerHost, style: Style, address: str) -> list[str]:
    config = host.config
    state = style.red("failed to load") if host.failure else ", ".join(sorted_handlers(host))
    environment = f" in {clean(config.environment)}" if config.environment else ""
    shown = f"{style.dim(clean(shown_path(config.main)))}  {state}" if config.has_code else style.dim("no code")
    head = f"{style.bold(clean(config.name))}{environment}  {shown}"
    rows = [(clean(f"env.{name}"), clean(kind.describe(config, settings))) for kind, name, settings in bindings(config)]
    rows += [("cron", clean(f"{cron}  {_due_text(cron)}")) for cron in config.crons]
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"{head}  {style.bold(address)}" if address else head]
    return lines + [f"  {name:<{width}}  {style.dim(value)}" for name, value in rows]


def _due_text(cron: str) -> str:
    """When a cron is due next: `next at 10:05 UTC`, with the date if that is more than a day away."""
    from emulator.config.cron import parse  # most workers have none

    now = time()
    due = parse(cron).next_after(now)
    if due is None:
        return "is never due"
    moment = gmtime(due)
    return f"next at {strftime('%H:%M' if due - now < DAY_SECONDS else '%Y-%m-%d %H:%M', moment)} UTC"


def _overviews(workers: Sequence[WorkerConfig], style: Style) -> Iterator[str]:
    """The lines below the workers, in a group for each kind that has any."""
    for kind in KINDS:
        lines = list(kind.overview(workers))
        width = max((len(line.name) for line in lines), default=0)
        yield from (
            f"{style.bold(line.noun)} {clean(line.name):<{width}}  {style.dim(clean(line.text))}" for line in lines
        )


def _own_address(name: str, url: str) -> str:
    """Where a worker that is not the first answers: its name as a subdomain of localhost, on the same port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{name}.localhost:{parts.port}"
