"""To-do lists: the page is in `public/`, the lists are in D1, sessions in KV, attachments in R2, and mails go through a
queue."""

import json
import re
import secrets
from typing import Any
from urllib.parse import urlsplit

from mail import send_mail
from todos import Todos
from workers import MessageBatch, Request, Response, WorkerEntrypoint

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
SESSION_SECONDS = 7 * 24 * 3600
TODO = re.compile(r"/api/todos/([0-9]{1,15})(/attachment)?")


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        path = urlsplit(request.url).path
        if path == "/api/sign-in" and request.method == "POST":
            return await self.sign_in(request)
        if not path.startswith("/api/"):
            return refusal(404, "not found")
        email = await self.env.SESSIONS.get(f"session:{session_of(request)}")
        if email is None:
            return refusal(401, "please sign in")
        todos = Todos(self.env.DB, self.env.ATTACHMENTS, email)
        match (request.method, path):
            case ("GET", "/api/todos"):
                return Response.json({"email": email, "todos": await todos.all()})
            case ("POST", "/api/todos"):
                title = str((await body_of(request)).get("title") or "").strip()
                return Response.json(await todos.add(title), status=201) if title else refusal(400, "a title, please")
            case ("POST", "/api/mail"):
                await self.env.MAILS.send({"type": "list", "email": email})
                return Response.json({"ok": True}, status=202)
            case ("POST", "/api/sign-out"):
                await self.env.SESSIONS.delete(f"session:{session_of(request)}")
                return Response.json({"ok": True})
            case _:
                found = TODO.fullmatch(path)
        if found is None:
            return refusal(404, "not found")
        return await self.about_one(request, todos, int(found[1]), is_attachment=found[2] is not None)

    async def about_one(self, request: Request, todos: Todos, number: int, *, is_attachment: bool) -> Response:
        answer: Response | None = None
        match (request.method, is_attachment):
            case ("PATCH", False):
                done = bool((await body_of(request)).get("done"))
                answer = Response.json({"ok": True}) if await todos.mark(number, done=done) else None
            case ("DELETE", False):
                answer = Response.json({"ok": True}) if await todos.remove(number) else None
            case ("PUT", True):
                answer = Response.json({"ok": True}) if await todos.attach(number, request) else None
            case ("GET", True):
                answer = await todos.attachment(number)
            case _:
                return refusal(405, "not possible")
        return answer or refusal(404, "not found")

    async def sign_in(self, request: Request) -> Response:
        """Whoever says an address is believed: a real application sends a link there first."""
        email = str((await body_of(request)).get("email") or "").strip()
        if not EMAIL.fullmatch(email):
            return refusal(400, "an e-mail address, please")
        token = secrets.token_urlsafe(24)
        await self.env.SESSIONS.put(f"session:{token}", email, expirationTtl=SESSION_SECONDS)
        cookie = f"session={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={SESSION_SECONDS}"
        return Response.json({"email": email}, headers={"set-cookie": cookie})

    async def queue(self, batch: MessageBatch, env: object, ctx: object) -> None:
        for message in batch.messages:
            try:
                todos = Todos(self.env.DB, self.env.ATTACHMENTS, message.body.email)
                titles = [todo["title"] for todo in await todos.all() if not todo["done"]]
                await send_mail(message.body.email, "What is to be done", "\n".join(titles) or "Nothing!")
            except Exception:
                message.retry()
            else:
                message.ack()


def refusal(status: int, text: str) -> Response:
    return Response.json({"error": text}, status=status)


def session_of(request: Request) -> str:
    """The token in the cookie; `-`, which no session has, if there is none."""
    found = re.search(r"(?:^|;\s*)session=([\w-]+)", request.headers.get("cookie") or "")
    return found[1] if found else "-"


async def body_of(request: Request) -> dict[str, Any]:
    try:
        body: Any = json.loads(await request.text())
        return dict[str, Any](body)
    except (TypeError, ValueError):  # no JSON, or no object
        return {}
