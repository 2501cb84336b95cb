"""A secret of the Secrets Store of a Python worker: `env.API_KEY`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulator.bindings.secrets_store.store import SecretError
from emulator_runtime.hosting import JsException


class SecretBinding:
    """A secret, whose value has to be asked for."""

    def __init__(self, name: str, get: Callable[[], Awaitable[str]]) -> None:
        self._name = name
        self._get = get

    async def get(self) -> str:
        """The value. Raises JsException if the secret does not exist."""
        try:
            return await self._get()
        except SecretError as error:
            raise JsException(str(error)) from None

    def __repr__(self) -> str:
        return f"<SecretsStoreSecret {self._name}>"
