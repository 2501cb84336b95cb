"""What production would say of the code of a worker that is loaded."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from emulator.base.errors import Problem
from emulator.base.words import shown_path
from emulator.bindings.queue.config import delivered_to
from emulator.config.document import REFUSED_BY_PRODUCTION, problem_at
from emulator.hosts.triggers import QueueTrigger, ScheduledTrigger

if TYPE_CHECKING:
    from emulator.config.model import Place
    from emulator.hosts.host import WorkerHost

MAX_UPLOAD_BYTES: Final = 64 * 1024 * 1024
"""How large the modules of a worker may be together in production, before compression, on every plan."""


class UploadSize(NamedTuple):
    """How large the modules of a worker are together, in bytes, and how large when they are compressed as one."""

    total: int
    compressed: int

    @property
    def text(self) -> str:
        """`0.31 KiB, 0.22 KiB compressed`, as `wrangler deploy` measures it."""
        return f"{_kib(self.total)}, {_kib(self.compressed)} compressed"


def upload_size(host: WorkerHost) -> UploadSize:
    """What a deployment of the worker would send."""
    content = b"".join(host.uploaded())
    return UploadSize(len(content), len(gzip.compress(content, 6)))


def review(host: WorkerHost, size: UploadSize) -> Iterator[Problem]:
    """Warnings: handlers that the configuration needs and the code does not have, and too much code."""
    config = host.config
    needed: list[tuple[str, Place | None, str]] = [
        (QueueTrigger.handler, each.place, f"the queue {each.settings.queue} is delivered to it")
        for each in delivered_to(config)
    ]
    if config.crons:
        needed.append((ScheduledTrigger.handler, config.crons_place, "crons invoke it"))
    for handler, place, why in needed:
        if place is not None and handler not in host.handlers:
            text = f"{shown_path(config.main)} has no handler `{handler}`, and {why}"
            yield problem_at(place, text, code="missing-handler")
    if size.total > MAX_UPLOAD_BYTES:
        text = f"{REFUSED_BY_PRODUCTION}: the code has {_kib(size.total)}, and may have {_kib(MAX_UPLOAD_BYTES)}"
        yield Problem(shown_path(config.main), 0, 0, "", text, code="over-limit")


def _kib(size: int) -> str:
    return f"{size / 1024:,.2f} KiB"
