"""The Secrets Store, as a binding kind. No value is shown anywhere but where a worker or a test asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.model import WorkerConfig
from emulator.config.section import Key, Section

if TYPE_CHECKING:
    from emulator.bindings.kit import Accessor
    from emulator.bindings.rest import Rest
    from emulator.bindings.secrets_store.store import SecretsStore
    from emulator.bindings.use import Faults, Use
    from emulator.bindings.wiring import WireRequest, WireResponse, Wiring
    from emulator.storage.state import State

KIND: Final = "secrets_store"
SECRET_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "store_id": checks.TEXT,
    "secret_name": checks.TEXT,
}


class StoredSecret(NamedTuple):
    """A secret of a store, by its name there."""

    store: str
    secret: str


class SecretsStoreKind(BindingKind[StoredSecret]):
    """`secrets_store_secrets`."""

    name = KIND
    keys = {"secrets_store_secrets": Key(checks.ARRAY)}
    declared_as = ("a secret of the Secrets Store", 'under "secrets_store_secrets"')
    documentation = (
        "[secret of the Secrets Store](small-bindings.md#secrets-store)",
        "`secrets_store_secrets[]`",
        "`get`",
        "`get`",
    )

    def read(self, section: Section) -> None:
        """Read the valid secrets."""
        for path, item in section.items("secrets_store_secrets"):
            sound = section.read_object(path, item, SECRET_KEYS, required=tuple(SECRET_KEYS))
            if sound.keys() == SECRET_KEYS.keys() and section.claim(sound["binding"], (*path, "binding")):
                settings = StoredSecret(sound["store_id"], sound["secret_name"])
                section.bind(self.name, sound["binding"], settings, (*path, "binding"))

    def open(self, resources: Resources) -> OpenSecretsStore:
        """Open the session's stores."""
        return OpenSecretsStore(resources)

    def describe(self, worker: WorkerConfig, settings: StoredSecret) -> str:
        """The name of the secret."""
        return f"secret {settings.secret}"

    def binding_record(self, settings: StoredSecret) -> Mapping[str, object]:
        """Which secret it is, without its value."""
        return {"store_id": settings.store, "secret_name": settings.secret}

    def python_type(self, settings: StoredSecret) -> str:
        """The class in `python_stub`."""
        return "SecretsStoreSecret"

    def typescript_type(self, settings: StoredSecret) -> str:
        """workerd's own."""
        return "SecretsStoreSecret"

    def take_over(self, wrangler: Path, workers: Sequence[WorkerConfig], state: State) -> Iterable[str]:
        """The secrets of `wrangler secrets-store secret create` without `--remote`."""
        from emulator.bindings.secrets_store.store import take_over

        return take_over(wrangler / "secrets-store", state)

    def rest(self) -> Rest:
        """The calls about stores and their secrets."""
        from emulator.bindings.secrets_store.api import REST

        return REST

    def accessor(self) -> Accessor:
        """`emulator.secret("API_KEY")`."""
        from emulator.bindings.secrets_store.testing import ACCESSOR

        return ACCESSOR


class OpenSecretsStore(OpenKind[StoredSecret]):
    """The stores of a session. `declared` are the secrets that bindings lead to, by the names of these."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._told: set[tuple[str, StoredSecret]] = set()
        self.declared: dict[str, StoredSecret] = {}

    @cached_property
    def store(self) -> SecretsStore:
        """All stores. Opened when somebody asks for a secret."""
        from emulator.bindings.secrets_store.store import SCHEMA, SecretsStore

        return SecretsStore(self._resources.state.database(KIND, SCHEMA), self._resources.clock)

    @cached_property
    def faults(self) -> Faults:
        """The errors that tests want, by the names of bindings."""
        from emulator.bindings.use import Faults

        return Faults()

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, StoredSecret]) -> Mapping[str, object]:
        from emulator.bindings.secrets_store.python import SecretBinding

        return {
            name: SecretBinding(name, partial(self._get, settings, use))
            for name, settings, use in self._bound(worker, bindings)
        }

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, StoredSecret]) -> Iterator[Wiring]:
        if not bindings:
            return
        from emulator.bindings.wiring import extension

        source = Path(__file__).parent / "secret.js"
        for name, settings, use in self._bound(worker, bindings):
            yield extension(name, "emulator:secrets-store", source, partial(self._answer, settings, use))

    def _bound(
        self, worker: WorkerConfig, bindings: Mapping[str, StoredSecret]
    ) -> Iterator[tuple[str, StoredSecret, Use]]:
        from emulator.bindings.use import Use

        self.declared.update(bindings)
        for name, settings in bindings.items():
            use = Use(self._resources, self.faults, KIND, settings.secret, worker=worker.name, name=name)
            yield name, settings, use

    async def _get(self, settings: StoredSecret, use: Use) -> str:
        """The value of a secret. Raises SecretError with the service's words."""
        from emulator.bindings.secrets_store.store import SecretError

        async with use("get", settings.secret) as operation:
            value = self.store.get(*settings)
            if value is None:
                self._warn(use.worker, use.name, settings)
                raise SecretError(f'Secret "{settings.secret}" not found')
            operation.size = len(value.encode())
            self._resources.secrets.add(use.name, value)
            return value

    async def _answer(self, settings: StoredSecret, use: Use, _request: WireRequest) -> WireResponse:
        from emulator.bindings.secrets_store.store import SecretError
        from emulator.bindings.wiring import json_answer

        try:
            return json_answer({"value": await self._get(settings, use)})
        except SecretError as error:
            return json_answer({"error": str(error)})

    def _warn(self, worker: str, name: str, settings: StoredSecret) -> None:
        """Say once how a secret gets its value."""
        if (worker, settings) not in self._told:
            self._told.add((worker, settings))
            text = f"the secret {settings.secret} has no value yet: `emulator secrets-store put {name}` keeps one"
            self._resources.warn(worker, text)


SECRETS_STORE: Final = SecretsStoreKind()
