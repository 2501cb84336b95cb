"""`env`: what a Python worker reaches by binding name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Env:
    """The bindings of one worker, as attributes. `hint` ends the error about a name that is not there: what would
    declare it."""

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
