"""What worker code sees. Standard library only, and no knowledge of the rest of `emulator`.

Worker code imports `workers`, `js`, `pyodide` and `asgi`; the host's loader gives it the modules of the same name below
this package, so that nothing of the user's own environment is shadowed.
"""
