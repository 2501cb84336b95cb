from collections.abc import Mapping
from typing import Any

from emulator_runtime.values import AttributeDict
from emulator_runtime.workers.email import EmailMessage

class EmailSendResult(AttributeDict):
    """A message that was sent."""

    messageId: str

class SendEmail:
    """Sends e-mail."""

    async def send(
        self, message: EmailMessage | Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> EmailSendResult:
        """Send a message: a dict with `from`, `to`, `subject`, `text`, `html`, `attachments` and more, or keywords,
        where `from_` is `from`; or an EmailMessage, which is MIME."""
