"""Compatibility flags: which ones production knows, and what it says of those in a configuration.

The list is workerd's own; `tests/support/compatibility_flags.py` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from emulator.config.document import Findings, KeyPath
from emulator.config.section import did_you_mean

FLAGS_FILE: Final = Path(__file__).with_name("compatibility_flags.json")

ALWAYS: Final = "0000-00-00"
"""The date of what every compatibility date has."""


class Flag(msgspec.Struct, frozen=True, omit_defaults=True):
    """One behaviour, and the names of the flags that switch it on and off; empty if there is none. It is on by default
    from the compatibility date `since` on, if that is given. Production does not let an
    `experimental` one be switched on."""

    enable: str
    disable: str = ""
    since: str = ""
    experimental: bool = False


class FlagList(msgspec.Struct, frozen=True):
    """The flags of one version of workerd."""

    workerd: str
    flags: tuple[Flag, ...]


@cache
def known_flags() -> FlagList:
    """The list."""
    return msgspec.json.decode(FLAGS_FILE.read_bytes(), type=FlagList)


def check_flags(findings: Findings, given: Sequence[tuple[KeyPath, str]], compatibility_date: str) -> None:
    """Warn of flags that production refuses or that are not known, and note those that the date implies. Each flag
    comes with its key path; the date may be empty."""
    known = known_flags()
    by_name: Mapping[str, Flag] = {name: flag for flag in known.flags for name in (flag.enable, flag.disable) if name}
    seen: dict[str, KeyPath] = {}
    for path, name in given:
        flag = by_name.get(name)
        if name in seen:
            findings.refused_by_production(path, f"{name} is given twice", code="repeated-flag")
        elif flag is None:
            hint = did_you_mean(name, list(by_name))
            text = f"{name} is not a flag that workerd {known.workerd} knows"
            findings.warn(path, text, hint, code="unknown-flag")  # production may be newer
        elif (other := flag.disable if name == flag.enable else flag.enable) in seen:
            place = findings.document.place(seen[other])
            text = f"{name} contradicts {other} on line {place.line}"
            findings.refused_by_production(path, text, code="contradictory-flags")
        elif flag.experimental and name == flag.enable:
            text = f"{name} is experimental, and not for production"
            findings.refused_by_production(path, text, code="experimental-flag")
        elif name == flag.enable and flag.since and flag.since <= compatibility_date:
            dates = "every date" if flag.since == ALWAYS else f"{flag.since} on"
            findings.note(path, f"{name} is the default from {dates}: it can be left out", code="default-flag")
        seen.setdefault(name, path)
