"""The modules that worker code sees. They use only the standard library, and nothing of the package `emulator`.

If worker code imports `workers`, `js`, `pyodide` or `asgi`, the loader returns the module of that name in this package,
so that nothing in the user's environment is shadowed.
"""
