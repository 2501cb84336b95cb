"""Configurations of workers for tests: read from files, or made without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from emulator import config
from emulator.bindings.not_emulated.kind import NOT_EMULATED
from emulator.bindings.queue.config import Consumer, Producer
from emulator.bindings.queue.kind import QUEUES
from emulator.bindings.registry import KINDS
from emulator.bindings.secrets.kind import SECRETS
from emulator.bindings.service.kind import SERVICES, ServiceBinding
from emulator.bindings.vars.kind import VARS
from emulator.config.model import JSON, Binding, Declaration, WorkerConfig

load_config: Final = partial(config.load_config, kinds=KINDS)
"""What reads a file with the binding kinds that there are."""


def declared(
    *,
    vars: Mapping[str, JSON] | None = None,  # noqa: A002 - the key of wrangler.jsonc
    secrets: Mapping[str, str] | None = None,
    producers: Iterable[Producer] = (),
    consumers: Iterable[Consumer] = (),
    services: Iterable[ServiceBinding] = (),
    not_emulated: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The `bindings` and the `declarations` of a WorkerConfig, from what the kinds of today read."""
    bindings = [
        *(Binding(VARS.name, name, value) for name, value in (vars or {}).items()),
        *(Binding(SECRETS.name, name, value) for name, value in (secrets or {}).items()),
        *(Binding(QUEUES.name, each.binding, each) for each in producers),
        *(Binding(SERVICES.name, each.binding, each) for each in services),
        *(Binding(NOT_EMULATED.name, name, key) for name, key in (not_emulated or {}).items()),
    ]
    declarations = [Declaration(QUEUES.name, each) for each in consumers]
    return {"bindings": tuple(bindings), "declarations": tuple(declarations)}


_DECLARED: Final = frozenset({"vars", "secrets", "producers", "consumers", "services", "not_emulated"})


def make_config(name: str, path: Path, main: Path, **settings: Any) -> WorkerConfig:
    """A worker's configuration. `settings` are fields of WorkerConfig, or arguments of `declared`."""
    fields = {key: value for key, value in settings.items() if key not in _DECLARED}
    given = {key: value for key, value in settings.items() if key in _DECLARED}
    return WorkerConfig(name, path, main, **declared(**given), **fields)
