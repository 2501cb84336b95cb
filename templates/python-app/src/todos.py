"""The to-dos of one person: rows of D1, each perhaps with an attachment in R2."""

from typing import Any
from urllib.parse import quote

from workers import Request, Response


class Todos:
    def __init__(self, db: Any, attachments: Any, email: str) -> None:
        self.db = db
        self.attachments = attachments
        self.email = email

    async def all(self) -> list[dict[str, Any]]:
        found = (
            await self.db.prepare("SELECT id, title, done, attachment FROM todos WHERE email = ? ORDER BY id")
            .bind(self.email)
            .all()
        )
        return [{**todo.to_py(), "done": bool(todo.done)} for todo in found.results]

    async def add(self, title: str) -> dict[str, Any]:
        added = (
            await self.db.prepare("INSERT INTO todos (email, title) VALUES (?, ?) RETURNING id, title")
            .bind(self.email, title)
            .first()
        )
        return {"id": added.id, "title": added.title, "done": False, "attachment": None}

    async def mark(self, number: int, *, done: bool) -> bool:
        changed = (
            await self.db.prepare("UPDATE todos SET done = ? WHERE id = ? AND email = ?")
            .bind(done, number, self.email)
            .run()
        )
        return bool(changed.meta.changes)

    async def remove(self, number: int) -> bool:
        removed = await self.db.prepare("DELETE FROM todos WHERE id = ? AND email = ?").bind(number, self.email).run()
        if removed.meta.changes == 0:
            return False
        await self.attachments.delete(self._key(number))
        return True

    async def attach(self, number: int, request: Request) -> bool:
        """Keep the body of a request, which is never in memory as a whole."""
        if not await self._is_there(number):
            return False
        name = request.headers.get("x-file-name") or "attachment"
        kind = request.headers.get("content-type") or "application/octet-stream"
        disposition = f"attachment; filename*=UTF-8''{quote(name, safe='%')}"
        await self.attachments.put(
            self._key(number), request.body, httpMetadata={"contentType": kind, "contentDisposition": disposition}
        )
        await self.db.prepare("UPDATE todos SET attachment = ? WHERE id = ?").bind(name, number).run()
        return True

    async def attachment(self, number: int) -> Response | None:
        if not await self._is_there(number):
            return None
        found = await self.attachments.get(self._key(number))
        if found is None:
            return None
        metadata = found.httpMetadata
        headers = {"content-type": metadata.contentType, "content-disposition": metadata.contentDisposition}
        return Response(found.body, headers=headers)

    async def _is_there(self, number: int) -> bool:
        asked = self.db.prepare("SELECT id FROM todos WHERE id = ? AND email = ?").bind(number, self.email)
        return await asked.first() is not None

    def _key(self, number: int) -> str:
        return f"{self.email}/{number}"
