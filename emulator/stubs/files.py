"""Writes the types of workers beside their configurations, and finds out which of them are out of date."""

from __future__ import annotations

from pathlib import Path

from emulator.base.errors import EmulatorError
from emulator.base.words import reason, shown_path
from emulator.config.model import WorkerConfig


def types_of(config: WorkerConfig) -> dict[Path, str]:
    """The files with the types of a worker, and their texts."""
    directory = config.path.parent
    if config.main.suffix == ".py":
        from emulator.stubs.python import DIRECTORY, stubs

        return {directory / DIRECTORY / name: text for name, text in stubs(config).items()}
    from emulator.stubs.typescript import FILE, declarations

    return {directory / FILE: declarations(config)}


def outdated(files: dict[Path, str]) -> list[Path]:
    """Those of the files that do not have their text."""
    return [path for path, text in files.items() if _text(path) != text]


def write(files: dict[Path, str]) -> list[Path]:
    """Write the files that are out of date, and return them. Raises EmulatorError if that is not possible."""
    changed = outdated(files)
    for path in changed:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        except OSError as error:
            raise EmulatorError(f"cannot be written: {reason(error)}", where=shown_path(path)) from None
    return changed


def refresh(config: WorkerConfig) -> list[Path]:
    """Write the types of a worker's `env` anew if they are there, and return what has changed."""
    if config.main.suffix == ".py":
        from emulator.stubs.python import DIRECTORY, ENV_FILE, env_stub

        path = config.path.parent / DIRECTORY / ENV_FILE
        return write({path: env_stub(config)}) if path.is_file() else []
    files = types_of(config)
    return write(files) if all(path.is_file() for path in files) else []


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
