"""Where an emulator's workers come from: configuration files, or what a test says in code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emulator.config import find_config, load_config
from emulator.config.model import JSON, WorkerConfig
from emulator.errors import EmulatorError

Paths = str | Path | Sequence[str | Path]


def from_files(
    config: Paths | None,
    *,
    environment: str | None,
    variables: Mapping[str, JSON],
    secrets: Mapping[str, str],
) -> Callable[[], list[WorkerConfig]]:
    """What reads the configurations of `config`: one path, several, or None for that of the working directory. A
    directory means the configuration in it."""

    def read() -> list[WorkerConfig]:
        if config is None:
            paths = [find_config(Path.cwd())]
        else:
            paths = [Path(config)] if isinstance(config, (str, Path)) else [Path(path) for path in config]
        return [_with(load_config(path, environment=environment), variables, secrets) for path in paths]

    return read


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
    """What makes the configuration of one worker. `main` is the path of its module, or, with a line break in it, the
    code itself. `queues` and `settings` are as in `wrangler.jsonc`, and checked in the same way."""

    def read() -> list[WorkerConfig]:
        directory = Path(cleanup.enter_context(TemporaryDirectory(prefix="emulator-")))
        if isinstance(main, str) and "\n" in main:
            from textwrap import dedent

            module = directory / "entry.py"
            module.write_text(dedent(main), encoding="utf-8")
        else:
            module = Path(main).absolute()
            if not module.is_file():
                raise EmulatorError(f"main={str(main)!r} is no file", hint="it is the path of a module, or code")
        document = {
            "name": name,
            "main": str(module),
            "compatibility_date": "2026-11-01",
            **({"queues": queues} if queues is not None else {}),
            **settings,
        }
        file = directory / "wrangler.json"
        file.write_text(json.dumps(document, indent=2), encoding="utf-8")
        return [_with(load_config(file), variables, secrets)]

    return read


def _with(config: WorkerConfig, variables: Mapping[str, JSON], secrets: Mapping[str, str]) -> WorkerConfig:
    if not variables and not secrets:
        return config
    kept = {key: value for key, value in config.secrets.items() if key not in variables}
    return replace(config, vars={**config.vars, **variables}, secrets={**kept, **secrets})
