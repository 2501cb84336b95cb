"""A small HTTP API: a page, JSON, a path with a parameter, and an answer for everything else."""

import re
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import unquote, urlsplit

from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        path = urlsplit(request.url).path
        for method, pattern, handler in ROUTES:
            found = pattern.fullmatch(path)
            if found and request.method == method:
                return await handler(self, request, *map(unquote, found.groups()))
        return Response.json({"error": f"nothing at {request.method} {path}"}, status=404)

    async def home(self, _request: Request) -> Response:
        page = f"""<!doctype html>
            <title>{escape(self.env.GREETING)}</title>
            <h1>{escape(self.env.GREETING)}!</h1>
            <p>Try <a href="/hello/Ada">/hello/Ada</a>, or post JSON to <code>/echo</code>.</p>"""
        return Response(page, headers={"content-type": "text/html;charset=UTF-8"})

    async def hello(self, _request: Request, name: str) -> Response:
        return Response.json({"message": f"{self.env.GREETING}, {name}"})

    async def echo(self, request: Request) -> Response:
        try:
            return Response.json({"you_sent": await request.json()})
        except ValueError:
            return Response.json({"error": "the body is not JSON"}, status=400)


ROUTES: list[tuple[str, re.Pattern[str], Callable[..., Awaitable[Response]]]] = [
    ("GET", re.compile(r"/"), Default.home),
    ("GET", re.compile(r"/hello/([^/]+)"), Default.hello),
    ("POST", re.compile(r"/echo"), Default.echo),
]
