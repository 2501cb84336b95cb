"""E-mail that comes in for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from emulator.bindings.email.config import KIND
from emulator.hosts.triggers import EmailTrigger

if TYPE_CHECKING:
    from emulator.bindings.email.incoming import IncomingEmail
    from emulator.bindings.email.kind import OpenEmail
    from emulator.bindings.open_kinds import OpenKinds
    from emulator.hosts.host import WorkerHost


async def deliver_email(kinds: OpenKinds, host: WorkerHost, sender: str, recipient: str, raw: bytes) -> IncomingEmail:
    """Run the `email` handler of a worker, and return the message with what became of it. Raises ValueError if the
    message cannot be taken, and what the host raises."""
    email = cast("OpenEmail", kinds[KIND])
    with email.incoming(host.config.name, sender, recipient, raw) as message:
        await host.invoke("", EmailTrigger(message))
        return message
