"""A Hyperdrive binding of a Python worker: `env.DB`."""

from __future__ import annotations

from emulator.bindings.hyperdrive.config import OriginDatabase
from emulator_runtime.hosting import NotEmulated


class HyperdriveBinding:
    """Says where a database is, and how to log in there."""

    def __init__(self, name: str, database: OriginDatabase) -> None:
        self._name = name
        self.connectionString = database.connection_string
        self.host = database.host
        self.port = database.port
        self.user = database.user
        self.password = database.password
        self.database = database.database
        self.connect = NotEmulated(f"env.{name}.connect", "a Python worker has no sockets of JavaScript here")

    def __repr__(self) -> str:
        return f"<Hyperdrive {self._name}>"
