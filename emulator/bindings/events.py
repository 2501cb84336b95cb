"""What happens to the data of bindings."""

from __future__ import annotations

from emulator.base.bus import Happening


class BindingUsed(Happening):
    """A worker, or somebody else where `worker` is empty, has used what a binding leads to.

    `kind` is that of the binding, and `name` its name in `env`, or of what it leads to where nobody's `env` was used.
    `operation` and `key` say what was done to what; `size` is how many bytes went in or out, 0 where none did.
    `duration` is in seconds. `error` is why it was refused, empty if it was not.
    """

    worker: str
    kind: str
    name: str
    operation: str
    key: str
    size: int
    duration: float
    error: str = ""
