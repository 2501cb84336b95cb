"""Variables, as a binding kind. The setting is the value, which is JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import TYPE_CHECKING, Final

from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config import checks
from emulator.config.checks import found
from emulator.config.document import Findings, KeyPath
from emulator.config.model import JSON, WorkerConfig
from emulator.config.section import Draft, Key, Section

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring

_SHOWN_WIDTH: Final = 48

MAX_BYTES: Final = 5 * 1024
"""How large a variable may be in production, as text or as JSON."""

MAX_COUNT: Final = 128
"""How many of them a worker may have there."""


class VarKind(BindingKind[JSON]):
    """`vars`, and `--var` on the command line, which takes precedence."""

    name = "var"
    keys = {"vars": Key(checks.OBJECT)}
    is_value = True
    declared_as = ("a variable", 'under "vars"')
    documentation = ("variable", "`vars`, `--var`", "its value; an object's keys are attributes", "its value")

    def read(self, section: Section) -> None:
        """Read every variable that is JSON."""
        for name, value in section.keys.get("vars", {}).items():
            path = (*section.path, "vars", name)
            if not checks.is_identifier(name):
                section.findings.warn(path, "is not a JavaScript identifier, so it cannot be written as env.NAME")
            is_json = _is_json(section.findings, path, value)
            if is_json and (size := _size(value)) > MAX_BYTES:
                section.findings.warn(
                    path, f"has {size:,} bytes, and production takes at most {MAX_BYTES:,}", code="over-limit"
                )
            if section.claim(name, path) and is_json:
                section.bind(self.name, name, value, path)

    def complete(self, draft: Draft) -> None:
        """Add the command line's variables, which may replace vars of the file, but not other bindings. Counts all."""
        for name, value in draft.variables.items():
            if path := draft.foreign_name(self.name, name):
                draft.findings.error(path, f"{found(name)} is also a var given on the command line")
            draft.put(self.name, name, value)
        count = sum(binding.kind == self.name for binding in draft.bindings)
        if count > MAX_COUNT:
            draft.findings.warn(
                ("vars",), f"has {count} variables, and production takes at most {MAX_COUNT}", code="over-limit"
            )

    def open(self, resources: Resources) -> OpenKind[JSON]:
        """Nothing but the values."""
        return _OpenVars()

    def describe(self, worker: WorkerConfig, settings: JSON) -> str:
        """The value as JSON, shortened if it is long."""
        text = json.dumps(settings, ensure_ascii=False, default=str)
        return text if len(text) <= _SHOWN_WIDTH else f"{text[: _SHOWN_WIDTH - 3]}..."

    def python_type(self, settings: JSON) -> str:
        """That of the value."""
        if isinstance(settings, dict):
            return "AttributeDict"
        return "list[Any]" if isinstance(settings, list) else type(settings).__name__.replace("NoneType", "None")

    def typescript_type(self, settings: JSON) -> str:
        """The value itself, as wrangler has it."""
        return json.dumps(settings, ensure_ascii=False)


class _OpenVars(OpenKind[JSON]):
    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, JSON]) -> Mapping[str, object]:
        from emulator_runtime.hosting import to_attribute_dict

        return {name: to_attribute_dict(value) for name, value in bindings.items()}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, JSON]) -> Iterator[Wiring]:
        from emulator.bindings.wiring import Wiring

        for name, value in bindings.items():
            yield Wiring(name, {"text": value} if isinstance(value, str) else {"json": json.dumps(value)})


def _size(value: object) -> int:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return len(text.encode("utf-8", "surrogatepass"))


def _is_json(findings: Findings, path: KeyPath, value: object) -> bool:
    """Whether `value` can be a var. TOML has dates and infinite numbers, which JSON does not have."""
    if isinstance(value, dict):
        inner = [_is_json(findings, (*path, key), item) for key, item in value.items()]
        return all(inner)
    if isinstance(value, list):
        inner = [_is_json(findings, (*path, index), item) for index, item in enumerate(value)]
        return all(inner)
    if isinstance(value, date | time):
        findings.error(
            path, f"a var must be JSON, which has no dates or times, not {found(value)}", "Put it in quotes."
        )
        return False
    if isinstance(value, float) and not math.isfinite(value):
        findings.error(path, f"a var must be JSON, which does not have the number {found(value)}")
        return False
    return True


VARS: Final = VarKind()
