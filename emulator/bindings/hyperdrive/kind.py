"""Hyperdrive, as a binding kind: a database on this machine, without a pool and without a cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from emulator.bindings.hyperdrive import config
from emulator.bindings.hyperdrive.config import OriginDatabase
from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config.model import WorkerConfig
from emulator.config.section import Draft, Section

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring


class HyperdriveKind(BindingKind[OriginDatabase]):
    """`hyperdrive`."""

    name = config.KIND
    keys = config.KEYS
    declared_as = ("a Hyperdrive binding", 'under "hyperdrive"')
    documentation = (
        "[Hyperdrive](small-bindings.md#hyperdrive)",
        "`hyperdrive[]`",
        "`connectionString`, `host`, `port`, `user`, `password`, `database`",
        "the same, and `connect`",
    )

    def read(self, section: Section) -> None:
        """Read the valid bindings."""
        config.read_hyperdrives(section)

    def complete(self, draft: Draft) -> None:
        """Find the databases."""
        config.find_databases(draft)

    def open(self, resources: Resources) -> OpenKind[OriginDatabase]:
        """Nothing but the addresses."""
        return _OpenHyperdrives()

    def describe(self, worker: WorkerConfig, settings: OriginDatabase) -> str:
        """The database, without its password."""
        return f"Hyperdrive {settings.scheme} {settings.host}:{settings.port}/{settings.database}"

    def binding_record(self, settings: OriginDatabase) -> Mapping[str, object]:
        """Where the database is, without its password."""
        return {"host": settings.host, "port": settings.port, "database": settings.database}

    def python_type(self, settings: OriginDatabase) -> str:
        """The class in `python_stub`."""
        return "Hyperdrive"

    def typescript_type(self, settings: OriginDatabase) -> str:
        """workerd's own."""
        return "Hyperdrive"


class _OpenHyperdrives(OpenKind[OriginDatabase]):
    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, OriginDatabase]) -> Mapping[str, object]:
        from emulator.bindings.hyperdrive.python import HyperdriveBinding

        return {name: HyperdriveBinding(name, settings) for name, settings in bindings.items()}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, OriginDatabase]) -> Iterator[Wiring]:
        if not bindings:
            return
        from emulator.bindings.wiring import Reference, TcpServer, Wiring

        for name, settings in bindings.items():
            entry = {
                "designator": Reference(),
                "database": settings.database,
                "user": settings.user,
                "password": settings.password,
                "scheme": settings.scheme,
            }
            yield Wiring(name, {"hyperdrive": entry}, {"": TcpServer(settings.host, settings.port)})


HYPERDRIVE: Final = HyperdriveKind()
