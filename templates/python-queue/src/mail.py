"""Stands in for a mail service: it prints what it would send, and fails for addresses at fail.example."""


async def send_welcome_email(sender: str, recipient: str) -> None:
    if recipient.endswith("@fail.example"):
        raise ConnectionError(f"the mail service did not take the e-mail to {recipient}")
    print(f"Welcome e-mail from {sender} to {recipient}")
