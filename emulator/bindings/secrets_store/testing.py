"""How tests reach a secret of the Secrets Store: `emulator.secret("API_KEY")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from emulator.base.errors import EmulatorError
from emulator.bindings.kit import Accessor, Faulty, Kit
from emulator.bindings.secrets_store.kind import KIND
from emulator.bindings.secrets_store.store import SecretError

if TYPE_CHECKING:
    from emulator.bindings.secrets_store.kind import OpenSecretsStore

    class SecretAccess:
        """The type of what `Emulator` has for the Secrets Store."""

        def secret(self, name: str) -> Secret:
            """A secret, by the name of a binding. Raises EmulatorError, which names those there are."""
            raise NotImplementedError

    class AsyncSecretAccess:
        """The type of what `AsyncEmulator` has for the Secrets Store."""

        def secret(self, name: str) -> Secret:
            """A secret, by the name of a binding. Raises EmulatorError, which names those there are."""
            raise NotImplementedError


class Secret(Faulty):
    """A secret as a test uses it. Nothing here has to be awaited in async tests either."""

    def __init__(self, kit: Kit, name: str) -> None:
        __tracebackhide__ = True
        self._kit = kit
        self.name = name
        self._open = cast("OpenSecretsStore", kit.open_kind(KIND))
        if name not in self._open.declared:
            there = ", ".join(sorted(self._open.declared)) or "none"
            raise EmulatorError(f"there is no secret {name!r} of the Secrets Store; the bindings are: {there}")
        self._settings = self._open.declared[name]
        self._faults, self._target = self._open.faults, self._settings.secret

    @property
    def value(self) -> str | None:
        """The value; None if the secret does not exist."""
        self._kit.check_open()
        return self._open.store.get(*self._settings)

    def put(self, value: str) -> None:
        """Keep a value of 1 to 1,024 bytes. Raises SecretError if it has more or none."""
        __tracebackhide__ = True
        self._kit.check_open()
        self._open.store.put(*self._settings, value)

    def delete(self) -> None:
        """Remove the secret."""
        self._kit.check_open()
        self._open.store.delete(*self._settings)

    def _refusal(self) -> Exception:
        return SecretError("internal error")

    def __repr__(self) -> str:
        return f"<Secret {self.name}>"


ACCESSOR: Final = Accessor("secret", Secret, Secret)
