"""`env`: what a worker reaches by binding name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from emulator.bindings.queue.python import QueueBinding
from emulator.config.model import WorkerConfig
from emulator.queues.service import Queues
from emulator_runtime.errors import NotEmulated
from emulator_runtime.values import to_record

JSON_MESSAGES_SINCE: Final = "2024-03-18"
ERROR_CODES_SINCE: Final = "2026-03-12"

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


class Env:
    """The bindings of one worker, as attributes."""

    def __init__(self, bindings: Mapping[str, Any], config_file: str) -> None:
        self.__dict__.update(bindings)
        self.__dict__["__config_file"] = config_file

    def __getattr__(self, name: str) -> Any:
        file = self.__dict__.get("__config_file", "wrangler.jsonc")
        declared = ", ".join(sorted(key for key in self.__dict__ if not key.startswith("__"))) or "none"
        raise AttributeError(
            f"env.{name} is not declared in {file}, which declares: {declared}. "
            f'A variable goes under "vars", a secret into .dev.vars, a queue under "queues.producers"'
        )

    def __repr__(self) -> str:
        return f"<env {', '.join(sorted(key for key in self.__dict__ if not key.startswith('__')))}>"


def build_env(
    config: WorkerConfig, queues: Queues, on_warning: Callable[[str], None], doubles: Mapping[str, Any] = EMPTY
) -> Env:
    """The `env` of a worker: its vars, secrets and queue producers, and what is declared but not emulated yet.

    A secret wins over a var of its name, a queue over both, and `doubles`, which a test puts in their place, over all.
    """
    bindings: dict[str, Any] = {name: to_record(value) for name, value in config.vars.items()}
    bindings.update(config.secrets)
    bindings.update(
        {
            name: NotEmulated(f"env.{name} ({key} in {config.path.name})")
            for name, key in config.unsupported_bindings.items()
        }
    )
    for producer in config.producers:
        bindings[producer.binding] = QueueBinding(
            queues,
            producer.queue,
            worker=config.name,
            delivery_delay=producer.delivery_delay,
            content_type="json" if _enabled(config, "queues_json_messages", JSON_MESSAGES_SINCE) else "v8",
            expose_error_codes=_enabled(config, "queue_expose_error_codes", ERROR_CODES_SINCE),
            on_warning=on_warning,
        )
    bindings.update(doubles)
    return Env(bindings, config.path.name)


def _enabled(config: WorkerConfig, flag: str, since: str) -> bool:
    """Whether a compatibility flag holds: by its name, else by date. No date in the configuration means today's
    rules."""
    if f"no_{flag}" in config.compatibility_flags:
        return False
    return flag in config.compatibility_flags or not config.compatibility_date or config.compatibility_date >= since
