"""`env` of a Python worker: its bindings by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Env:
    """The bindings of one worker, as attributes. `hint` completes the error about an undeclared name: it says how to
    declare one."""

    def __init__(self, bindings: Mapping[str, Any], config_file: str, hint: str = "") -> None:
        self.__dict__.update(bindings)
        self.__dict__["__config_file"] = config_file
        self.__dict__["__hint"] = hint

    def __getattr__(self, name: str) -> Any:
        file = self.__dict__.get("__config_file", "wrangler.jsonc")
        declared = ", ".join(sorted(key for key in self.__dict__ if not key.startswith("__"))) or "none"
        hint = self.__dict__.get("__hint", "")
        raise AttributeError(
            f"env.{name} is not declared in {file}, which declares: {declared}{f'. {hint}' if hint else ''}"
        )

    def __repr__(self) -> str:
        return f"<env {', '.join(sorted(key for key in self.__dict__ if not key.startswith('__')))}>"
