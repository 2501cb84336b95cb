"""Stands in for a mail service: it prints what it would send, and fails for addresses at fail.example."""


async def send_mail(recipient: str, subject: str, text: str) -> None:
    if recipient.endswith("@fail.example"):
        raise ConnectionError(f"the mail service did not take the e-mail to {recipient}")
    print(f"E-mail to {recipient}: {subject}\n{text}")
