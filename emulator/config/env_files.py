"""Secrets for local runs, from the files that wrangler reads.

These are `.dev.vars.<env>`, else `.dev.vars`, else `.env` and its variants. No message shows a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from emulator.base.errors import Problem
from emulator.base.words import reason


class EnvFiles:
    """The values in the files. `origins` maps each name to its file; `watched` lists the files that were read, and
    those that would be if they existed."""

    def __init__(self, watched: tuple[Path, ...]) -> None:
        self.watched = watched
        self.values: dict[str, str] = {}
        self.origins: dict[str, str] = {}
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []


def read_env_files(
    directory: Path, environment: str | None, show: Callable[[Path], str], given: Sequence[Path] = ()
) -> EnvFiles:
    """Read the secrets in `directory`, or in the files `given` instead, of which later ones take precedence. `show`
    returns a path as messages should show it.

    If `.dev.vars.<env>` or `.dev.vars` exists, only the first of them is read. Otherwise `.env`, `.env.local`,
    `.env.<env>` and `.env.<env>.local` are merged, with later files taking precedence, and references such as
    `${OTHER}` are expanded.
    """
    if given:
        return _read_given(given, show)
    dev_vars = [directory / ".dev.vars"]
    dot_env = [directory / ".env", directory / ".env.local"]
    if environment is not None:
        dev_vars.insert(0, directory / f".dev.vars.{environment}")
        dot_env += [directory / f".env.{environment}", directory / f".env.{environment}.local"]
    result = EnvFiles((*dev_vars, *dot_env))
    for path in dev_vars:
        if _read(path, show(path), result):
            return result
    for path in dot_env:
        _read(path, show(path), result)
    return _expanded(result)


def _read_given(paths: Sequence[Path], show: Callable[[Path], str]) -> EnvFiles:
    """Read files that were named, and so have to exist."""
    result = EnvFiles(tuple(path.absolute() for path in paths))
    for path in paths:
        if not _read(path, show(path), result):
            result.errors.append(Problem(show(path), 0, 0, "", "there is no such file", code="unreadable"))
    return _expanded(result)


def _expanded(result: EnvFiles) -> EnvFiles:
    if result.values:
        from emulator.config.dotenv import expand

        result.values = expand(result.values)
    return result


def _read(path: Path, shown: str, result: EnvFiles) -> bool:
    """Add the values of one file. Returns False if it does not exist."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return False
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        result.errors.append(
            Problem(shown, line, 1, "", "is not UTF-8 text", "Save the file in UTF-8.", code="unreadable")
        )
        return True
    except OSError as error:
        result.errors.append(Problem(shown, 0, 0, "", f"cannot be read: {reason(error)}", code="unreadable"))
        return True
    from emulator.config.dotenv import parse_env  # Most workers have no secrets, and start-up time is a feature.

    values, bad_lines = parse_env(text)
    result.values.update(values)
    result.origins.update(dict.fromkeys(values, shown))
    text = "this line is not KEY=VALUE and is ignored"
    result.warnings += [Problem(shown, line, 1, "", text, code="syntax") for line in bad_lines]
    return True
