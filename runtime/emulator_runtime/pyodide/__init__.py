"""The module `pyodide` of worker code: the names that Python workers import from it."""

from __future__ import annotations

from emulator_runtime.errors import no_attribute

__version__ = "0.28.2"

__getattr__ = no_attribute("pyodide")
