"""Where the templates of `emulator init` are: inside an installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def templates_directory() -> Path:
    """The directory that contains the templates, each in a directory of its own."""
    installed = _PACKAGE / "templates"
    return installed if installed.is_dir() else _PACKAGE.parent / "templates"


def template_names() -> list[str]:
    """The names of the templates."""
    return sorted(path.parent.name for path in templates_directory().glob("*/wrangler.jsonc"))
