"""The report of a failed test as one file, which a browser shows: what happened, in order and with virtual times."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from emulator.base.words import count, shown_path
from emulator.dashboard.parts import scopes_of
from emulator.testing.timeline import Timeline

_LONGEST_NAME: Final = 120


def write_trace(directory: Path, test: str, failure: str, timelines: Sequence[Timeline], root: Path) -> Path:
    """Write the file of a test, given its id and how it failed, into a directory, which is made if it is not there.
    Files below `root` are named relative to it. Returns the path. Raises OSError."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("trace.html").render(
        count=count,
        scopes_of=scopes_of,
        shown_path=partial(shown_path, base=root),
        test=test,
        failure=failure,
        emulators=[
            {"remarks": [*each.remarks()], "rows": [*each.rows(root)], "whys": [*each.whys()]} for each in timelines
        ],
    )
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{_file_name(test)}.html"
    path.write_text(page, encoding="utf-8", errors="replace")
    return path


def _file_name(test: str) -> str:
    """A name for the file of a test that every file system takes, and no other test has."""
    plain = re.sub(r"[^A-Za-z0-9_.]+", "-", test).strip("-.")[-_LONGEST_NAME:]
    return f"{plain}-{hashlib.sha256(test.encode()).hexdigest()[:8]}"
