"""Finds a configuration file and reads it, with its secrets, into a `WorkerConfig`, or raises one error with every
problem of the file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulator.base.errors import ConfigError, EmulatorError, Problem
from emulator.base.words import reason, shown_path
from emulator.config import checks, jsonc
from emulator.config.checks import found
from emulator.config.document import (
    Document,
    DocumentSyntaxError,
    Findings,
    excerpt,
    format_path,
    line_and_column,
)
from emulator.config.env_files import read_env_files
from emulator.config.model import (
    DEFAULT_CPU_MS,
    JAVASCRIPT_SUFFIXES,
    PYTHON_FLAG,
    PYTHON_MODULES,
    Build,
    Bundling,
    WorkerConfig,
)
from emulator.config.reading import WorkerSection, read_settings
from emulator.config.section import Draft

if TYPE_CHECKING:
    from emulator.config.kind import ConfigKind

_WATCHED_BY_DEFAULT: Final = "./src"
_MAX_NAME: Final = 63
_UNFIT: Final = re.compile(r"[^a-z0-9_]+")
"""What the name of a directory may have and the name of a worker may not."""

CONFIG_NAMES: Final = ("wrangler.jsonc", "wrangler.json", "wrangler.toml")


def config_for(script: Path) -> Path:
    """The configuration of a module that was named: the nearest one in its directory or above it, as wrangler looks for
    it; else where it would be in the working directory. Raises EmulatorError if there is no such module."""
    if not _is(Path.is_file, script):
        raise EmulatorError("there is no such file", where=shown_path(script))
    for directory in script.absolute().parents:
        for name in CONFIG_NAMES:
            if _is(Path.is_file, directory / name):
                return directory / name
    return Path.cwd() / CONFIG_NAMES[0]


def find_config(directory: Path) -> Path:
    """The configuration file in `directory`: `wrangler.jsonc`, else `wrangler.json`, else `wrangler.toml`.

    Raises `EmulatorError` if none of them exists, or the directory cannot be read.
    """
    shown = shown_path(directory)
    try:
        present = {entry.name for entry in directory.iterdir()}
    except NotADirectoryError:
        raise EmulatorError("is not a directory", where=shown) from None
    except OSError as error:
        raise EmulatorError(f"cannot be read: {reason(error)}", where=shown) from None
    for name in CONFIG_NAMES:
        if name in present:
            return directory / name
    raise EmulatorError(
        f"there is no {CONFIG_NAMES[0]}, {CONFIG_NAMES[1]} or {CONFIG_NAMES[2]} here",
        where=shown,
        hint="Name one with `-c PATH`, or create a new worker with `emulator init NAME`.",
    )


def load_config(
    path: Path,
    kinds: Sequence[ConfigKind],
    *,
    environment: str | None = None,
    overrides: Mapping[str, str] | None = None,
    env_files: Sequence[Path] = (),
    script: Path | None = None,
) -> WorkerConfig:
    """Read the configuration at `path`; if that is a directory, the file that `find_config` finds in it.

    `kinds` read the keys that declare bindings. `environment` selects `env.<environment>`. `overrides` are vars from
    the command line; they take precedence over the vars in the file and over secrets. `env_files` replace the files
    that secrets are read from. `script` replaces `main`; with it, the file need not exist. Raises `ConfigError` with
    every problem of the file, in file order.
    """
    if _is(Path.is_dir, path):
        path = find_config(path)
    findings = _findings(path, script)
    settings = read_settings(findings, environment, kinds)
    if settings is None:
        raise ConfigError(_in_order(findings.errors))
    section = settings.section
    path = path.absolute()
    if script is not None:
        section.main = str(script.absolute())
    build = _build(path.parent, section)
    main = _main(findings, path.parent, section, is_built=build is not None)
    if main != section.no_code:
        _warn_of_refused_python(findings, path.parent, section, main)
    if section.name is None and not findings.document.has(section.name_path):
        section.name = _directory_name(path.parent, environment)
        text = f"is missing: the worker is called {section.name}, as its directory"
        findings.warn(section.name_path, f"{text}; wrangler does not deploy it without one", code="missing-key")
    elif section.name is not None and not checks.WORKER_NAME.accepts(section.name):
        findings.error(
            section.name_path,
            f"becomes {found(section.name)} in this environment, but must be {checks.WORKER_NAME.allowed}",
            f"Give {format_path(('env', environment or ''))} a `name` of its own.",
        )
    _check_compatibility(findings, section)
    secrets = read_env_files(path.parent, environment, shown_path, env_files)
    draft = Draft(section, findings, main, secrets, overrides or {})
    for kind in kinds:
        kind.complete(draft)
    if findings.errors or secrets.errors or main is None or section.name is None:
        raise ConfigError([*_in_order(findings.errors), *secrets.errors])
    return WorkerConfig(
        name=section.name,
        path=path,
        main=main,
        environment=environment,
        compatibility_date=section.compatibility_date or "",
        compatibility_flags=frozenset(flag for _, flag in section.flags),
        bindings=tuple(draft.bindings),
        declarations=tuple(draft.declarations),
        bundling=Bundling(**section.bundling),
        build=build,
        has_code=main != section.no_code,
        crons=section.crons or (),
        crons_place=findings.document.place((*section.triggers_path, "crons"), at_key=True) if section.crons else None,
        cpu_ms=section.cpu_ms if section.cpu_ms is not None else DEFAULT_CPU_MS,
        dev_port=settings.dev_port,
        dev_ip=settings.dev_ip,
        dev_inspector_port=settings.dev_inspector_port,
        dev_protocol=settings.dev_protocol,
        origin=settings.origin,
        account_id=settings.account_id,
        watched=(path, *secrets.watched),
        warnings=(*_in_order(findings.warnings), *secrets.warnings),
        notes=tuple(_in_order(findings.notes)),
        place=findings.document.place(section.name_path),
    )


def _findings(path: Path, script: Path | None) -> Findings:
    """The file, with warnings of what wrangler would say about it as a text."""
    findings = Findings(_document(path) if script is None or path.exists() else _document_of(script, path))
    if (refused := findings.document.refused) is not None:
        place = line_and_column(findings.document.text, refused.offset)
        message = f"wrangler would refuse this file: {refused.message}"
        findings.warnings.append(Problem(findings.document.file, *place, "", message, code="refused-by-wrangler"))
    for repeated, offset in findings.document.repeated:
        place = line_and_column(findings.document.text, offset)
        message = "appears more than once in this object; the last one is used"
        where = format_path(repeated)
        findings.warnings.append(Problem(findings.document.file, *place, where, message, code="repeated-key"))
    return findings


def _directory_name(directory: Path, environment: str | None) -> str:
    """The name of a worker that has none of its own."""
    name = _UNFIT.sub("-", directory.name.lower()).strip("-") or "worker"
    return f"{name}-{environment.lower()}"[:_MAX_NAME] if environment else name[:_MAX_NAME]


def _document(path: Path) -> Document:
    """Read and parse the file. Raises `ConfigError` if it is not a configuration at all."""
    shown = shown_path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        hint = "Name a file with `-c PATH`, or create a new worker with `emulator init NAME`."
        raise ConfigError([Problem(shown, 0, 0, "", "there is no such file", hint, code="unreadable")]) from None
    except OSError as error:
        text = f"cannot be read: {reason(error)}"
        raise ConfigError([Problem(shown, 0, 0, "", text, code="unreadable")]) from None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        place = line_and_column(before, len(before))
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        hint = "Save the file in UTF-8."
        raise ConfigError([Problem(shown, *place, "", message, hint, code="unreadable")]) from None
    if not text.strip("\ufeff \t\r\n"):
        hint = "It needs at least a `name` and a `main`."
        raise ConfigError([Problem(shown, 0, 0, "", "the file is empty", hint, code="unreadable")])
    try:
        document = _parse(path.suffix.lower(), text, shown)
    except DocumentSyntaxError as error:
        place = line_and_column(text, error.offset)
        line = excerpt(text, error.offset)
        raise ConfigError([Problem(shown, *place, "", error.message, line, code="syntax")]) from None
    if not isinstance(document.data, dict):
        place = line_and_column(text, document.values[()])
        message = f"a configuration must be an object {{ ... }}, not {found(document.data)}"
        raise ConfigError([Problem(shown, *place, "", message)])
    return document


def _document_of(script: Path, path: Path) -> Document:
    """What stands for the configuration of a worker that has none, which would be at `path`."""
    settings = {
        "name": _directory_name(path.parent.absolute(), None),
        "main": str(script),
        "compatibility_date": date.today().isoformat(),
        "compatibility_flags": [PYTHON_FLAG] if script.suffix == ".py" else [],
    }
    return jsonc.parse(json.dumps(settings), shown_path(path))


def _parse(suffix: str, text: str, shown: str) -> Document:
    if suffix == ".toml":
        from emulator.config import toml  # tomllib is needed for TOML only.

        return toml.parse(text, shown)
    if suffix in (".json", ".jsonc"):
        try:
            return jsonc.parse(text, shown)
        except DocumentSyntaxError as refused:
            from emulator.config import json5  # The library is slow to import, and most files do not need it.

            return json5.parse(text, shown, refused)
    raise ConfigError([Problem(shown, 0, 0, "", "must end in .jsonc, .json or .toml", code="unreadable")])


def _build(directory: Path, section: WorkerSection) -> Build | None:
    """What makes the worker's code, if something does."""
    settings = section.build or {}
    if not settings.get("command"):
        return None
    watched = settings.get("watch_dir", _WATCHED_BY_DEFAULT)
    paths = [watched] if isinstance(watched, str) else watched
    return Build(
        settings["command"],
        Path(os.path.normpath(directory / settings.get("cwd", "."))),
        tuple(Path(os.path.normpath(directory / path)) for path in paths),
    )


def _main(findings: Findings, directory: Path, section: WorkerSection, *, is_built: bool) -> Path | None:
    """The absolute path of the worker's module, or None after reporting an error. Only a module that `is_built` need
    not exist yet."""
    if section.main is None:
        if section.no_code is not None:
            return section.no_code
        if not findings.document.has(section.main_path):
            hint = 'Name the worker\'s module, such as "src/entry.py".'
            findings.error(section.main_path, "is missing", hint, code="missing-key")
        return None
    main = Path(os.path.normpath(directory / section.main))
    if _is(Path.is_dir, main):
        findings.error(
            section.main_path, f"{found(section.main)} is a directory; it must be a Python or JavaScript file"
        )
    elif main.suffix != ".py" and main.suffix not in JAVASCRIPT_SUFFIXES:
        findings.error(
            section.main_path,
            f"must be a Python file ending in .py, or a JavaScript or TypeScript file, not {found(section.main)}",
        )
    elif not is_built and not _is(Path.is_file, main):
        findings.error(
            section.main_path, f"{found(section.main)}: there is no such file", f"Looked for {shown_path(main)}."
        )
    else:
        return main
    return None


def _check_compatibility(findings: Findings, section: WorkerSection) -> None:
    """Warn of what production does not take of the compatibility date and flags."""
    if section.compatibility_date is None and not findings.errors:
        findings.warn(
            ("compatibility_date",),
            "is missing: the newest behaviour is assumed, and wrangler deploys nothing without it",
            code="missing-key",
        )
    elif section.compatibility_date is not None and section.compatibility_date > date.today().isoformat():
        findings.refused(section.date_path, f"{section.compatibility_date} is in the future", code="future-date")
    flags = {flag for _, flag in section.flags}
    if flags - {PYTHON_FLAG} or len(section.flags) > len(flags):
        from emulator.config.compatibility import check_flags  # most Python workers have the one flag

        check_flags(findings, section.flags, section.compatibility_date or "")


def _warn_of_refused_python(findings: Findings, directory: Path, section: WorkerSection, main: Path | None) -> None:
    """Warn of what wrangler refuses of a Python worker."""
    if main is None or main.suffix != ".py":
        return
    if all(flag != PYTHON_FLAG for _, flag in section.flags):
        of_section = (*section.path, "compatibility_flags")
        path = next(filter(findings.document.has, (of_section, ("compatibility_flags",))), section.main_path)
        hint = f'Add it: "compatibility_flags": ["{PYTHON_FLAG}"].'
        findings.refused(path, f"a Python worker needs the compatibility flag {PYTHON_FLAG}", hint)
    beside_main = main.parent / PYTHON_MODULES
    if _is(Path.is_dir, beside_main) and beside_main.resolve() != (directory / PYTHON_MODULES).resolve():
        findings.refused(
            section.main_path,
            f"there must be no {PYTHON_MODULES} beside main, and it is not read",
            f"Move {shown_path(beside_main)} beside the configuration.",
        )


def _in_order(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    """`Path.is_dir` or `Path.is_file`, but False for a path that cannot be examined."""
    try:
        return kind(path)
    except OSError:
        return False
