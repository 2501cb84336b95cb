"""Secrets, as a binding kind. The setting is the secret itself, so nothing here shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from emulator.base.secrets import Secrets
from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.bindings.vars.kind import VARS
from emulator.config import checks
from emulator.config.checks import found
from emulator.config.document import REFUSED, problem_at
from emulator.config.model import WorkerConfig
from emulator.config.section import Draft, Key, Section, must_be

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring


class SecretKind(BindingKind[str]):
    """The values in `.dev.vars`, else in `.env`. A secret takes precedence over a var of the same name in the file, but
    not over one from the command line. `secrets.required` lists the secrets that the worker needs."""

    name = "secret"
    keys = {"secrets": Key(checks.OBJECT)}
    is_value = True
    declared_as = ("a secret", "into .dev.vars")
    documentation = ("secret", "`.dev.vars`, `.env`; `secrets.required`", "a string", "a string")

    def read(self, section: Section) -> None:
        """Declare the required secrets."""
        path = (*section.path, "secrets")
        sound = section.read_object(path, section.keys.get("secrets", {}), {"required": checks.ARRAY})
        for index, name in enumerate(sound.get("required", ())):
            if checks.TEXT.accepts(name):
                section.declare(self.name, name, (*path, "required", index))
            else:
                section.findings.error((*path, "required", index), must_be(checks.TEXT, name))

    def complete(self, draft: Draft) -> None:
        """Add the secrets, and warn about required ones that are missing. They replace vars of the same
        name, and give way to other bindings."""
        files = draft.env_files
        for name, secret in files.values.items():
            if name in draft.variables:
                continue
            if path := draft.foreign_name(VARS.name, name):
                text = f"{found(name)} is also a secret in {files.origins[name]}, which is not used: the binding is"
                draft.findings.warn(path, text, code="name-taken")
                continue
            draft.put(self.name, name, secret)
        for each in draft.declarations:
            if each.kind == self.name and each.settings not in {*files.values, *draft.variables} and each.place:
                text = f"the secret {each.settings} is required, but neither .dev.vars nor .env sets it"
                hint = f"Add a line {each.settings}=... to .dev.vars."
                draft.findings.warnings.append(problem_at(each.place, text, hint, "missing-key"))
            if each.kind == self.name and each.settings in draft.section.names and each.place:
                other = draft.findings.document.place(draft.section.names[each.settings])
                text = f"{REFUSED}: {found(each.settings)} is already the name of {other.key} on line {other.line}"
                draft.findings.warnings.append(problem_at(each.place, text, code="name-taken"))

    def open(self, resources: Resources) -> OpenKind[str]:
        """Nothing but the strings."""
        return _OpenSecrets(resources.secrets)

    def describe(self, worker: WorkerConfig, settings: str) -> str:
        """Says only that it is a secret."""
        return "(secret)"

    def python_type(self, settings: str) -> str:
        """A string, whatever it says."""
        return "str"

    def typescript_type(self, settings: str) -> str:
        """A string, whatever it says."""
        return "string"


class _OpenSecrets(OpenKind[str]):
    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Mapping[str, object]:
        for name, secret in bindings.items():
            self._secrets.add(name, secret)
        return bindings

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Iterator[Wiring]:
        from emulator.bindings.wiring import Wiring

        for name, secret in bindings.items():
            self._secrets.add(name, secret)
            yield Wiring(name, {"text": secret})


SECRETS: Final = SecretKind()
