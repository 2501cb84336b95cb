"""Reads Hyperdrive bindings from a configuration, and finds the database on this machine that each leads to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

from emulator.bindings.not_emulated.kind import NOT_EMULATED
from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.document import problem_at
from emulator.config.model import Binding
from emulator.config.section import Draft, Key, Section

KIND: Final = "hyperdrive"
KEYS: Final[Mapping[str, Key]] = {"hyperdrive": Key(checks.ARRAY)}
HYPERDRIVE_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "id": checks.STRING,
    "localConnectionString": checks.STRING,
    "remote": checks.BOOLEAN,
}
_VARIABLES: Final = ("CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_", "WRANGLER_HYPERDRIVE_LOCAL_CONNECTION_STRING_")
_PORTS: Final = {"postgres": 5432, "postgresql": 5432, "mysql": 3306}
_WITHOUT_TLS: Final = frozenset({"", "disable", "disabled", "prefer", "preferred", "allow", "false", "0"})


class OriginDatabase(NamedTuple):
    """A database that a binding leads to. `scheme` is `postgres`, `postgresql` or `mysql`."""

    scheme: str
    user: str
    password: str
    host: str
    port: int
    database: str

    @property
    def connection_string(self) -> str:
        """All of it as a URL."""
        user, password = quote(self.user, safe=""), quote(self.password, safe="")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{user}:{password}@{host}:{self.port}/{quote(self.database, safe='')}"


def read_hyperdrives(section: Section) -> None:
    """Read the valid bindings, each with the connection string that the file gives, which may be none."""
    for path, item in section.items("hyperdrive"):
        sound = section.read_object(path, item, HYPERDRIVE_KEYS, required=("binding",))
        if isinstance(item, dict) and "id" not in item:
            section.findings.refused((*path, "binding"), "it has no `id`")
        name = sound.get("binding")
        if name is None or not section.claim(name, (*path, "binding")):
            continue
        if sound.get("remote"):
            section.findings.not_here((*path, "remote"), "has no effect here: the database is a local one")
        section.bind(KIND, name, sound.get("localConnectionString", ""), (*path, "binding"))


def find_databases(draft: Draft) -> None:
    """Give each binding its database: the one that a variable of the environment names, else that of the file. One
    without is not emulated."""
    for index, binding in enumerate(draft.bindings):
        if binding.kind != KIND or binding.place is None:
            continue
        string, origin = _string(draft, binding.name, str(binding.settings))
        if not string:
            hint = f'Give it a "localConnectionString", or set {_VARIABLES[0]}{binding.name}.'
            text = f"leads to no database on this machine: using env.{binding.name} raises an error"
            draft.findings.warnings.append(problem_at(binding.place, text, hint, "not-emulated"))
            draft.bindings[index] = Binding(NOT_EMULATED.name, binding.name, "hyperdrive", place=binding.place)
            continue
        found = parse(string)
        if isinstance(found, str):
            draft.findings.errors.append(problem_at(binding.place, f"{origin}: {found}"))
            continue
        if mode := _tls(string):
            text = f"{origin} asks for TLS ({mode}), which is not used here: bytes go to the database as they are"
            draft.findings.warnings.append(problem_at(binding.place, text, code="not-emulated"))
        draft.bindings[index] = Binding(KIND, binding.name, found, place=binding.place)


def parse(string: str) -> OriginDatabase | str:
    """What a connection string says, or what is wrong with it. The words do not show it: it has a password."""
    try:
        url = urlsplit(string)
        port = url.port
    except ValueError:
        return "is not a URL"
    if url.scheme not in _PORTS:
        return "must begin with postgres://, postgresql:// or mysql://: Hyperdrive knows PostgreSQL and MySQL"
    for what, value in (
        ("host", url.hostname),
        ("database, as in postgres://user:password@host:5432/database", url.path.strip("/")),
        ("user", url.username),
        ("password", url.password),
    ):
        if not value:
            return f"has no {what}"
    return OriginDatabase(
        url.scheme,
        unquote(url.username or ""),
        unquote(url.password or ""),
        url.hostname or "",
        port or _PORTS[url.scheme],
        unquote(url.path[1:]),
    )


def _string(draft: Draft, name: str, given: str) -> tuple[str, str]:
    """The connection string of a binding, and where it is from."""
    for prefix in _VARIABLES:
        variable = f"{prefix}{name}"
        found = os.environ.get(variable) or draft.env_files.values.get(variable)
        if found:
            return found, variable
    return given, "localConnectionString"


def _tls(string: str) -> str:
    """What a connection string says of TLS, if it wants it."""
    query = {name.lower(): values[-1] for name, values in parse_qs(urlsplit(string).query).items()}
    mode = query.get("sslmode") or query.get("ssl-mode") or query.get("ssl") or ""
    return "" if mode.lower() in _WITHOUT_TLS else mode
