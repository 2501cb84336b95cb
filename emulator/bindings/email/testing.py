"""How tests look at what was sent: `emulator.outbox()`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast, overload

from emulator.bindings.email.config import KIND
from emulator.bindings.email.errors import EmailError
from emulator.bindings.kit import Accessor, Faulty, Kit

if TYPE_CHECKING:
    from emulator.bindings.email.kind import OpenEmail
    from emulator.bindings.email.outbox import SentEmail

    class OutboxAccess:
        """The type of what `Emulator` has for e-mail."""

        def outbox(self) -> Outbox:
            """What workers have sent until now."""
            raise NotImplementedError

    class AsyncOutboxAccess:
        """The type of what `AsyncEmulator` has for e-mail."""

        def outbox(self) -> Outbox:
            """What workers have sent until now."""
            raise NotImplementedError


class Outbox(Faulty, Sequence["SentEmail"]):
    """The messages that had been sent when it was asked for, the oldest first."""

    def __init__(self, kit: Kit) -> None:
        __tracebackhide__ = True
        self._kit = kit
        self._open = cast("OpenEmail", kit.open_kind(KIND))
        self._faults, self._target = self._open.faults, KIND
        self._messages = self._open.outbox.all()

    @overload
    def __getitem__(self, index: int) -> SentEmail: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SentEmail]: ...
    def __getitem__(self, index: int | slice) -> SentEmail | Sequence[SentEmail]:
        return self._messages[index]

    def __len__(self) -> int:
        return len(self._messages)

    def clear(self) -> None:
        """Remove all messages, here and from the emulator."""
        self._kit.check_open()
        self._open.outbox.clear()
        self._messages = []

    def _refusal(self) -> Exception:
        return EmailError("E_INTERNAL_SERVER_ERROR", "internal error")

    def __repr__(self) -> str:
        shown = ", ".join(f"{each.subject!r} to {', '.join(each.recipients)}" for each in self._messages)
        return f"<Outbox {shown or 'empty'}>"


ACCESSOR: Final = Accessor("outbox", Outbox, Outbox)
