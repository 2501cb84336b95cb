"""The binding kinds that there are. This is the only list of them: a kind is added by a folder and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emulator.bindings.kind import BindingKind
from emulator.bindings.not_emulated.kind import NOT_EMULATED
from emulator.bindings.queue.kind import QUEUES
from emulator.bindings.secrets.kind import SECRETS
from emulator.bindings.service.kind import SERVICES
from emulator.bindings.vars.kind import VARS

KINDS: Final[list[BindingKind[Any]]] = [VARS, SECRETS, QUEUES, SERVICES, NOT_EMULATED]
"""In this order they read a configuration. Of two bindings with one name, that of the later kind counts."""

if TYPE_CHECKING:
    from emulator.bindings.queue.testing import AsyncQueueAccess, QueueAccess

    class Accessors(QueueAccess):
        """The types of what the kinds add to `Emulator`, for those who write tests."""

    class AsyncAccessors(AsyncQueueAccess):
        """The types of what the kinds add to `AsyncEmulator`."""
