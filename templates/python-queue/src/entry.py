"""Sign people up, and send the welcome e-mail later: whoever signs up does not wait for it.

`fetch` puts a message on the queue and answers at once. `queue` is given the messages in batches, in the background.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mail import send_welcome_email
from page import PAGE
from workers import MessageBatch, Request, Response, WorkerEntrypoint

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        url = urlsplit(request.url)
        if url.path == "/":
            return Response(PAGE, headers={"content-type": "text/html;charset=UTF-8"})
        if url.path == "/signup" and request.method == "GET":
            return await self.sign_up(email_in_form(url.query))
        if url.path == "/signup" and request.method == "POST":
            text = await request.text()
            is_json = "json" in (request.headers.get("content-type") or "")
            return await self.sign_up(email_in_json(text) if is_json else email_in_form(text))
        return Response("Not found", status=404)

    async def sign_up(self, email: str) -> Response:
        if not EMAIL.fullmatch(email):
            return Response.json({"ok": False, "error": "please give an e-mail address"}, status=400)
        # ... create the user ...
        await self.env.EVENTS.send({"type": "welcome-email", "email": email})
        return Response.json({"ok": True})

    async def queue(self, batch: MessageBatch, env: object, ctx: object) -> None:
        for message in batch.messages:
            # Each message is settled for itself. One that is to be retried is delivered again, up to max_retries times,
            # and then moves to the dead letter queue, which keeps the exception. An exception that left this method
            # would have every message of the batch delivered again that is not acked yet.
            try:
                await self.handle(message.body)
            except Exception:
                message.retry()
            else:
                message.ack()

    async def handle(self, event: Any) -> None:
        if event.type == "welcome-email":
            await send_welcome_email(self.env.SENDER, event.email)
        elif event.type == "boom":
            # For drills: a message that fails every time.
            raise ConnectionError("boom")


def email_in_form(text: str) -> str:
    return parse_qs(text).get("email", [""])[0].strip()


def email_in_json(text: str) -> str:
    try:
        return str(json.loads(text)["email"]).strip()
    except (ValueError, KeyError, TypeError):
        return ""
