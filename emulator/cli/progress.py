"""A bar that shows how far long work is, on standard error, where somebody looks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final

SHOWN_BYTES: Final = 8 * 1024 * 1024
"""What has fewer bytes is done before a bar tells anything."""


def shown(pieces: Iterable[bytes], title: str, total: int | None) -> Iterator[bytes]:
    """The pieces, while a bar says how many of their `total` bytes have passed."""
    if not sys.stderr.isatty() or (total is not None and total < SHOWN_BYTES):
        yield from pieces
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        for piece in pieces:
            yield piece
            progress.advance(task, len(piece))
