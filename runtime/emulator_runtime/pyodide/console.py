"""The module `pyodide.console` of worker code. A worker has no console: its names can be imported, and not used."""

from __future__ import annotations

from emulator_runtime.errors import NotEmulated, no_attribute

__all__ = ["BANNER", "Console", "ConsoleFuture", "PyodideConsole", "repr_shorten"]

BANNER = "Python in a Worker"
Console = NotEmulated("pyodide.console.Console")
ConsoleFuture = NotEmulated("pyodide.console.ConsoleFuture")
PyodideConsole = NotEmulated("pyodide.console.PyodideConsole")
repr_shorten = NotEmulated("pyodide.console.repr_shorten", "reprlib.repr() does the same")

__getattr__ = no_attribute("pyodide.console")
