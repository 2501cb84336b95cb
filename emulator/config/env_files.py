"""Secrets for local runs, from the files that wrangler reads.

That is `.dev.vars.<env>`, else `.dev.vars`, else `.env` and its relatives. No value ever gets into a message.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emulator.base.errors import Problem
from emulator.base.words import reason


class EnvFiles:
    """What the files say. `origins` names the file of each value; `watched` lists what was, or would be, read."""

    def __init__(self, watched: tuple[Path, ...]) -> None:
        self.watched = watched
        self.values: dict[str, str] = {}
        self.origins: dict[str, str] = {}
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []


def read_env_files(directory: Path, environment: str | None, show: Callable[[Path], str]) -> EnvFiles:
    """Read the secrets that stand in `directory`. `show` gives a path as messages should name it.

    The first of `.dev.vars.<env>` and `.dev.vars` that exists is the only one read. Without either, `.env`,
    `.env.local`, `.env.<env>` and `.env.<env>.local` are merged, the later winning, and references such as `${OTHER}`
    are expanded.
    """
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
    if result.values:
        from emulator.config.dotenv import expand

        result.values = expand(result.values)
    return result


def _read(path: Path, shown: str, result: EnvFiles) -> bool:
    """Add the values of one file. False when there is no such file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return False
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        result.errors.append(Problem(shown, line, 1, "", "is not UTF-8 text", "Save the file in UTF-8."))
        return True
    except OSError as error:
        result.errors.append(Problem(shown, 0, 0, "", f"cannot be read: {reason(error)}"))
        return True
    from emulator.config.dotenv import parse_env  # Most workers have no secrets, and start-up time is a feature.

    values, bad_lines = parse_env(text)
    result.values.update(values)
    result.origins.update(dict.fromkeys(values, shown))
    result.warnings += [Problem(shown, line, 1, "", "this line is not KEY=VALUE and is ignored") for line in bad_lines]
    return True
