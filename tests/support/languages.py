"""Projects that do the same in Python and in JavaScript."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.node_tools import needs_node

LANGUAGES: Final = ["entry.py", pytest.param("index.js", marks=needs_node)]
"""The main modules that a test is run with."""


def write_project(directory: Path, main: str, sources: Mapping[str, str], settings: Mapping[str, Any]) -> Path:
    """A project whose worker is that of `sources` which `main` names. Returns its configuration."""
    flags = ["python_workers"] if main.endswith(".py") else []
    described = {"name": "app", "main": main, "compatibility_date": "2026-04-01", "compatibility_flags": flags}
    (directory / main).write_text(sources[main])
    path = directory / "wrangler.json"
    path.write_text(json.dumps({**described, **settings}))
    return path
