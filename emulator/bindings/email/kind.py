"""Sending e-mail, as a binding kind: what is sent is kept to be looked at, and goes nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from emulator.bindings.email import config
from emulator.bindings.email.config import Sending
from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config.model import WorkerConfig
from emulator.config.section import Section

if TYPE_CHECKING:
    from emulator.bindings.email.incoming import IncomingEmail
    from emulator.bindings.email.mail import Envelope
    from emulator.bindings.email.outbox import OutboxStore
    from emulator.bindings.kit import Accessor
    from emulator.bindings.panel import Panel
    from emulator.bindings.rest import Rest
    from emulator.bindings.use import Faults, Operation, Use
    from emulator.bindings.wiring import Wiring


class EmailKind(BindingKind[Sending]):
    """`send_email`."""

    name = config.KIND
    keys = config.KEYS
    declared_as = ("a binding that sends e-mail", 'under "send_email"')
    documentation = ("[e-mail](email.md)", "`send_email[]`", "`send`", "`send`")

    def read(self, section: Section) -> None:
        """Read the valid bindings."""
        config.read_sendings(section)

    def open(self, resources: Resources) -> OpenEmail:
        """Open the session's outbox."""
        return OpenEmail(resources)

    def describe(self, worker: WorkerConfig, settings: Sending) -> str:
        """Whom it sends to, where that is limited."""
        several = settings.allowed_destination_addresses
        one = settings.destination_address or (", ".join(several) if several is not None else "")
        return f"e-mail to {one}" if one else "e-mail"

    def python_type(self, settings: Sending) -> str:
        """The class in `python_stub`."""
        return "SendEmail"

    def typescript_type(self, settings: Sending) -> str:
        """workerd's own."""
        return "SendEmail"

    def rest(self) -> Rest:
        """The calls about what was sent."""
        from emulator.bindings.email.api import REST

        return REST

    def panel(self) -> Panel:
        """What the stores hold."""
        from emulator.bindings.email.panel import PANEL

        return PANEL

    def accessor(self) -> Accessor:
        """`emulator.outbox()`."""
        from emulator.bindings.email.testing import ACCESSOR

        return ACCESSOR


class OpenEmail(OpenKind[Sending]):
    """The outbox of a session."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.under_way: dict[str, IncomingEmail] = {}
        """The messages that workers are handling, by their keys."""

    @cached_property
    def outbox(self) -> OutboxStore:
        """What was sent. Opened when somebody sends or looks."""
        from emulator.bindings.email.outbox import SCHEMA, OutboxStore

        return OutboxStore(self._resources.state.database(config.KIND, SCHEMA))

    @cached_property
    def faults(self) -> Faults:
        """The errors that tests want."""
        from emulator.bindings.use import Faults

        return Faults()

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, Sending]) -> Mapping[str, object]:
        from emulator.bindings.email.python import SendEmailBinding

        return {name: SendEmailBinding(self.sender(worker, name, each)) for name, each in bindings.items()}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, Sending]) -> Iterable[Wiring]:
        from emulator.bindings.email.workerd import wire

        senders = {name: self.sender(worker, name, settings) for name, settings in bindings.items()}
        return wire(senders, self.under_way)

    @contextmanager
    def incoming(self, worker: str, sender: str, recipient: str, raw: bytes) -> Iterator[IncomingEmail]:
        """A message that comes in for a worker, which can act on it meanwhile. Raises ValueError if it cannot be
        taken."""
        from emulator.bindings.email.incoming import IncomingEmail

        clock = self._resources.clock

        def now() -> datetime:
            return datetime.fromtimestamp(clock.now(), UTC)

        email = IncomingEmail(sender, recipient, raw, now, partial(self.keep, worker, "reply"))
        self.under_way[email.key] = email
        try:
            yield email
        finally:
            del self.under_way[email.key]

    def keep(self, worker: str, binding: str, envelope: Envelope) -> None:
        """Keep a message that was sent, and say so."""
        from emulator.base.bus import Notice

        number = self.outbox.add(worker, binding, self._resources.clock.now(), envelope)
        text = f"e-mail {number} to {', '.join(envelope.recipients)}: {envelope.subject}"
        self._resources.bus.publish(Notice("info", text, worker))

    def sender(self, worker: WorkerConfig, name: str, settings: Sending) -> Sender:
        """What sends for a binding."""
        from emulator.bindings.use import Use

        use = Use(self._resources, self.faults, config.KIND, config.KIND, worker=worker.name, name=name)
        return Sender(self, self._resources, settings, use)


class Sender:
    """Sends for a binding: both methods return the id of the message, and raise EmailError."""

    def __init__(self, kind: OpenEmail, resources: Resources, settings: Sending, use: Use) -> None:
        self._kind = kind
        self._resources = resources
        self._settings = settings
        self._use = use

    async def send(self, given: Mapping[str, Any]) -> str:
        """Send what an object describes; see `mail.build`."""
        from emulator.bindings.email.mail import build

        async with self._use("send", str(given.get("subject", ""))) as operation:
            return self._keep(
                build(self._settings, given, datetime.fromtimestamp(self._resources.clock.now(), UTC)), operation
            )

    async def send_raw(self, sender: object, recipient: object, raw: bytes) -> str:
        """Send what a worker has written as MIME."""
        from emulator.bindings.email.mail import from_raw

        async with self._use("send", "") as operation:
            return self._keep(from_raw(self._settings, sender, recipient, raw), operation)

    def _keep(self, envelope: Envelope, operation: Operation) -> str:
        operation.size = len(envelope.raw)
        self._kind.keep(self._use.worker, self._use.name, envelope)
        return envelope.message_id


EMAIL: Final = EmailKind()
