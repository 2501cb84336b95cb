"""Reads `assets` from a configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, cast

import msgspec

from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.model import WorkerConfig
from emulator.config.section import Key, Section

KIND: Final = "assets"

NO_CODE: Final = Path(__file__).parent / "no_code" / "entry.py"
"""The main module of a worker without one."""

HtmlHandling = Literal["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"]
NotFoundHandling = Literal["none", "404-page", "single-page-application"]

MAX_RULES: Final = 100
MAX_RULE_LENGTH: Final = 100

_TEXTS: Final = 'an array of at most 100 patterns such as "/api/*" or "!/api/docs"'


def _are_rules(value: object) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_RULES:
        return False
    return all(
        isinstance(rule, str) and len(rule) <= MAX_RULE_LENGTH and rule.startswith(("/", "!/")) for rule in value
    )


KEYS: Final[Mapping[str, Key]] = {"assets": Key(checks.OBJECT, inherited=True)}
ASSETS_KEYS: Final[Mapping[str, Check]] = {
    "directory": checks.TEXT,
    "binding": checks.BINDING,
    "html_handling": checks.one_of("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"),
    "not_found_handling": checks.one_of("none", "404-page", "single-page-application"),
    "run_worker_first": Check(f"true, false, or {_TEXTS}", lambda value: isinstance(value, bool) or _are_rules(value)),
}


class Assets(msgspec.Struct, frozen=True):
    """The assets of a worker. `directory` is as the configuration has it. `run_worker_first` are patterns, or one
    answer for every path."""

    directory: Path
    binding: str | None = None
    html_handling: HtmlHandling = "auto-trailing-slash"
    not_found_handling: NotFoundHandling = "none"
    run_worker_first: bool | tuple[str, ...] = False


def read_assets(section: Section) -> None:
    """Read the valid assets."""
    if "assets" not in section.keys:
        return
    path = (*section.path, "assets")
    sound = section.read_object(path, section.keys["assets"], ASSETS_KEYS)
    if "directory" not in sound:
        if "directory" not in section.keys["assets"]:
            section.findings.error((*path, "directory"), "is missing; it must be the directory with the files")
        return
    first = sound.get("run_worker_first", False)
    settings = Assets(
        Path(sound["directory"]),
        sound.get("binding"),
        cast("HtmlHandling", sound.get("html_handling", "auto-trailing-slash")),
        cast("NotFoundHandling", sound.get("not_found_handling", "none")),
        first if isinstance(first, bool) else tuple(first),
    )
    section.declare(KIND, settings, path)
    section.no_code = NO_CODE
    if settings.binding is not None and section.claim(settings.binding, (*path, "binding")):
        section.bind(KIND, settings.binding, settings, (*path, "binding"))


def assets_of(worker: WorkerConfig) -> Assets | None:
    """The assets of a worker; None if it has none."""
    found = next((each.settings for each in worker.declarations if each.kind == KIND), None)
    assert found is None or isinstance(found, Assets)
    return found


def directory_of(worker: WorkerConfig, assets: Assets) -> Path:
    """The directory with the files, absolute."""
    return Path(os.path.normpath(worker.path.absolute().parent / assets.directory))
