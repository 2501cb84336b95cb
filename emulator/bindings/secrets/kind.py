"""Secrets, as a binding kind. The setting is the secret itself, so nothing here shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from emulator.bindings.kind import BindingKind, Resources, Service
from emulator.bindings.vars.kind import VARS
from emulator.config.checks import found
from emulator.config.model import WorkerConfig
from emulator.config.section import Draft

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring


class SecretKind(BindingKind[str]):
    """The values in `.dev.vars`, else in `.env`. A secret takes precedence over a var of the same name in the file, but
    not over one from the command line."""

    name = "secret"
    is_value = True
    declared_as = ("a secret", "into .dev.vars")
    documentation = ("secret", "`.dev.vars`, `.env`", "a string", "a string")

    def complete(self, draft: Draft) -> None:
        """Add the secrets. They may replace vars, but not other bindings."""
        files = draft.env_files
        for name, secret in files.values.items():
            if name in draft.variables:
                continue
            if path := draft.foreign_name(VARS.name, name):
                draft.findings.error(path, f"{found(name)} is also a secret in {files.origins[name]}")
            draft.put(self.name, name, secret)

    def open(self, resources: Resources) -> Service[str]:
        """Nothing but the strings."""
        return _Strings()

    def describe(self, worker: WorkerConfig, settings: str) -> str:
        """Says only that it is a secret."""
        return "(secret)"


class _Strings(Service[str]):
    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Mapping[str, object]:
        return bindings

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Iterator[Wiring]:
        from emulator.bindings.wiring import Wiring

        for name, secret in bindings.items():
            yield Wiring(name, {"text": secret})


SECRETS: Final = SecretKind()
