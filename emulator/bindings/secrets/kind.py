"""Secrets, as a binding kind. A setting is the secret itself: nothing here shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from emulator.bindings.kind import BindingKind, Resources, Service
from emulator.bindings.vars.kind import VARS
from emulator.config import checks
from emulator.config.checks import found
from emulator.config.document import problem_at
from emulator.config.model import WorkerConfig
from emulator.config.section import Draft, Key, Section, must_be

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring


class SecretKind(BindingKind[str]):
    """What stands in `.dev.vars`, else in `.env`. A secret wins over a var of its name, but not over one of the command
    line. `secrets.required` names those that the worker cannot do without."""

    name = "secret"
    keys = {"secrets": Key(checks.OBJECT)}
    is_value = True
    declared_as = ("a secret", "into .dev.vars")
    documentation = ("secret", "`.dev.vars`, `.env`; `secrets.required`", "a string", "a string")

    def read(self, section: Section) -> None:
        """Note which secrets are required."""
        path = (*section.path, "secrets")
        sound = section.read_object(path, section.keys.get("secrets", {}), {"required": checks.ARRAY})
        for index, name in enumerate(sound.get("required", ())):
            if checks.TEXT.accepts(name):
                section.declare(self.name, name, (*path, "required", index))
            else:
                section.findings.error((*path, "required", index), must_be(checks.TEXT, name))

    def complete(self, draft: Draft) -> None:
        """Take the secrets, and warn about required ones that are missing. They may not hide a binding other than a
        var."""
        files = draft.env_files
        for name, secret in files.values.items():
            if name in draft.variables:
                continue
            if path := draft.foreign_name(VARS.name, name):
                draft.findings.error(path, f"{found(name)} is also a secret in {files.origins[name]}")
            draft.put(self.name, name, secret)
        for each in draft.declarations:
            if each.kind == self.name and each.settings not in {*files.values, *draft.variables} and each.place:
                text = f"the secret {each.settings} is required, but neither .dev.vars nor .env sets it"
                hint = f"Add a line {each.settings}=... to .dev.vars."
                draft.findings.warnings.append(problem_at(each.place, text, hint))

    def open(self, resources: Resources) -> Service[str]:
        """Nothing but the strings."""
        return _Strings()

    def describe(self, worker: WorkerConfig, settings: str) -> str:
        """That it is one."""
        return "(secret)"


class _Strings(Service[str]):
    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Mapping[str, object]:
        return bindings

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Iterator[Wiring]:
        from emulator.bindings.wiring import Wiring

        for name, secret in bindings.items():
            yield Wiring(name, {"text": secret})


SECRETS: Final = SecretKind()
