"""The module `workers.types` of worker code: names for annotations, which nothing checks."""

from __future__ import annotations

from typing import Any

from emulator_runtime.errors import no_attribute
from emulator_runtime.invocation import Context
from emulator_runtime.workers.headers import Headers

__all__ = ["Body", "Context", "FetchKwargs", "Headers", "JSBody", "RequestInitCfProperties"]

Body = Any
FetchKwargs = dict[str, Any]
JSBody = Any
RequestInitCfProperties = dict[str, Any]

__getattr__ = no_attribute("workers.types")
