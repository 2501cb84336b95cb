"""Variables, as a binding kind. A setting is the value, which is JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import TYPE_CHECKING, Final

from emulator.bindings.kind import BindingKind, Resources, Service
from emulator.config import checks
from emulator.config.checks import found
from emulator.config.document import Findings, KeyPath
from emulator.config.model import JSON, WorkerConfig
from emulator.config.section import Draft, Key, Section

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring

_SHOWN_WIDTH: Final = 48


class VarKind(BindingKind[JSON]):
    """`vars`, and `--var` on the command line, which wins."""

    name = "var"
    keys = {"vars": Key(checks.OBJECT)}
    is_value = True
    declared_as = ("a variable", 'under "vars"')
    documentation = ("variable", "`vars`, `--var`", "its value; an object's keys are attributes", "its value")

    def read(self, section: Section) -> None:
        """Take every variable that is JSON."""
        for name, value in section.keys.get("vars", {}).items():
            path = (*section.path, "vars", name)
            if not checks.is_identifier(name):
                section.findings.warn(path, "is not a JavaScript identifier, so it cannot be written as env.NAME")
            is_json = _is_json(section.findings, path, value)
            if section.claim(name, path) and is_json:
                section.bind(self.name, name, value, path)

    def complete(self, draft: Draft) -> None:
        """Put the command line's variables in place of the file's. They may not hide another binding."""
        for name, value in draft.variables.items():
            if path := draft.foreign_name(self.name, name):
                draft.findings.error(path, f"{found(name)} is also a var given on the command line")
            draft.put(self.name, name, value)

    def open(self, resources: Resources) -> Service[JSON]:
        """Nothing but the values."""
        return _Values()

    def describe(self, worker: WorkerConfig, settings: JSON) -> str:
        """The value as JSON, cut where it is long."""
        text = json.dumps(settings, ensure_ascii=False, default=str)
        return text if len(text) <= _SHOWN_WIDTH else f"{text[: _SHOWN_WIDTH - 3]}..."


class _Values(Service[JSON]):
    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, JSON]) -> Mapping[str, object]:
        from emulator_runtime.hosting import to_record

        return {name: to_record(value) for name, value in bindings.items()}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, JSON]) -> Iterator[Wiring]:
        from emulator.bindings.wiring import Wiring

        for name, value in bindings.items():
            yield Wiring(name, {"text": value} if isinstance(value, str) else {"json": json.dumps(value)})


def _is_json(findings: Findings, path: KeyPath, value: object) -> bool:
    """Whether `value` can be a var. TOML has dates and infinite numbers; JSON has not."""
    if isinstance(value, dict):
        inner = [_is_json(findings, (*path, key), item) for key, item in value.items()]
        return all(inner)
    if isinstance(value, list):
        inner = [_is_json(findings, (*path, index), item) for index, item in enumerate(value)]
        return all(inner)
    if isinstance(value, date | time):
        findings.error(path, f"a var is JSON, which has no dates and times; found {found(value)}", "Put it in quotes.")
        return False
    if isinstance(value, float) and not math.isfinite(value):
        findings.error(path, f"a var is JSON, which has no such number; found {found(value)}")
        return False
    return True


VARS: Final = VarKind()
