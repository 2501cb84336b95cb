"""Where an emulator's workers come from: configuration files, or the test's own code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any, Final

from msgspec.structs import replace

from emulator.base.errors import ConfigError, EmulatorError, Problem
from emulator.bindings.registry import KINDS
from emulator.bindings.secrets.kind import SECRETS
from emulator.bindings.vars.kind import VARS
from emulator.config import find_config, load_config
from emulator.config.model import JSON, PYTHON_FLAG, PYTHON_MODULES, Binding, WorkerConfig

_HINT: Final = (
    'Name one with Emulator("path/wrangler.jsonc"), or for the fixture with the pytest setting `emulator_config`;\n'
    "  or give the worker in code with Emulator(main=...)."
)

NEWEST: Final = "2026-11-01"
"""The compatibility date of a worker that is given in code."""

Paths = str | Path | Sequence[str | Path]


def from_files(
    config: Paths | None,
    *,
    environment: str | None,
    variables: Mapping[str, JSON],
    secrets: Mapping[str, str],
) -> Callable[[], list[WorkerConfig]]:
    """Returns a function that reads the configurations of `config`: one path, several, or None for the one of the
    working directory. A directory means the configuration in it."""

    def read() -> list[WorkerConfig]:
        if config is None:
            paths = [_find(Path.cwd())]
        else:
            paths = [Path(path) for path in ([config] if isinstance(config, (str, Path)) else config)]
        if not paths:
            raise EmulatorError("there is no configuration in config=[]", hint=_HINT)
        found = [_find(path) if path.is_dir() else path for path in paths]
        for path in found:
            if not path.exists():
                raise EmulatorError("there is no such file", where=str(path), hint=_HINT)
        return [_with(load_config(path, KINDS, environment=environment), variables, secrets) for path in found]

    return read


def _find(directory: Path) -> Path:
    try:
        return find_config(directory)
    except EmulatorError as error:
        raise EmulatorError(error.message, where=error.where, hint=_HINT) from None


def from_code(
    main: str | Path,
    *,
    name: str,
    queues: Mapping[str, Any] | None,
    variables: Mapping[str, JSON],
    secrets: Mapping[str, str],
    settings: Mapping[str, Any],
    cleanup: ExitStack,
) -> Callable[[], list[WorkerConfig]]:
    """Returns a function that makes the configuration of one worker. `main` is the path of its module or, if it
    contains a line break, its code. `queues` and `settings` are as in `wrangler.jsonc`, and are checked in the same
    way."""

    def read() -> list[WorkerConfig]:
        directory = Path(cleanup.enter_context(TemporaryDirectory(prefix="emulator-")))
        if isinstance(main, str) and "\n" in main:
            module = directory / "entry.py"
            module.write_text(dedent(main), encoding="utf-8")
        else:
            module = Path(main).absolute()
            if not module.is_file():
                raise EmulatorError(
                    f"main={str(main)!r} is not a file",
                    hint="Give the path of a module, from the working directory, or code of several lines.",
                )
        document = {
            "name": name,
            "main": str(module),
            "compatibility_date": NEWEST,
            **({"queues": queues} if queues is not None else {}),
            **settings,
        }
        if module.suffix == ".py":
            _complete_python(document, directory)
        file = directory / "wrangler.json"
        try:
            file.write_text(json.dumps(document), encoding="utf-8")
        except (TypeError, ValueError) as error:
            raise EmulatorError(f"queues= and settings= must be values that JSON can express: {error}") from None
        try:
            config = load_config(file, KINDS)
        except ConfigError as error:
            raise ConfigError(list(map(_in_code, error.problems))) from None
        warnings = tuple(map(_in_code, config.warnings))
        return [_with(replace(config, warnings=warnings), variables, secrets)]

    return read


def _complete_python(document: dict[str, Any], directory: Path) -> None:
    """Give a Python worker in `directory` the flag that each needs, and the `python_modules` of the working
    directory."""
    flags = document.get("compatibility_flags", [])
    if isinstance(flags, list) and PYTHON_FLAG not in flags:
        document["compatibility_flags"] = [*flags, PYTHON_FLAG]
    packages = Path.cwd() / PYTHON_MODULES
    if packages.is_dir():
        (directory / PYTHON_MODULES).symlink_to(packages)


def _in_code(problem: Problem) -> Problem:
    """A problem of a configuration that is written in the test, and not in a file that could be opened."""
    return replace(problem, file="Emulator(main=...)", line=0, column=0)


def _with(config: WorkerConfig, variables: Mapping[str, JSON], secrets: Mapping[str, str]) -> WorkerConfig:
    """The configuration with further variables and secrets. Either wins over a secret of its name."""
    given = {VARS.name: variables, SECRETS.name: secrets}
    kept = [
        each
        for each in config.bindings
        if each.name not in given.get(each.kind, {}) and not (each.kind == SECRETS.name and each.name in variables)
    ]
    added = [Binding(kind, name, value) for kind, values in given.items() for name, value in values.items()]
    return replace(config, bindings=(*kept, *added))
