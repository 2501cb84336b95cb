"""Where the templates of `emulator init` are: in an installed package within it, in a checkout beside it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def templates_directory() -> Path:
    """The directory with a directory for each template, a worker that runs as it is."""
    installed = _PACKAGE / "templates"
    return installed if installed.is_dir() else _PACKAGE.parent / "templates"


def template_names() -> list[str]:
    """The templates that there are."""
    return sorted(path.parent.name for path in templates_directory().glob("*/wrangler.jsonc"))
