"""Workers for the tests of the kit, in code."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

BODY = """
from workers import Response, WorkerEntrypoint, fetch
import asyncio

events = []


class Default(WorkerEntrypoint):
"""

QUEUES: dict[str, Any] = {
    "producers": [{"binding": "JOBS", "queue": "jobs"}],
    "consumers": [{"queue": "jobs", "max_retries": 3, "dead_letter_queue": "dead-jobs"}],
}


def worker(*methods: str, more: str = "") -> dict[str, Any]:
    """Arguments of an Emulator whose worker has these methods, queue `jobs` and dead letter queue `dead-jobs`. The code
    of a method is its first line and what follows, without indentation; `more` stands at module level."""
    code = BODY
    for method in methods:
        code += "".join(f"    {line}\n" for line in dedent(method).strip().splitlines())
    return {"main": f"{code}\n{dedent(more)}\n", "queues": QUEUES}


ACKS = """
async def queue(self, batch, env, ctx):
    events.append([message.body for message in batch.messages])
"""

FAILS = """
async def queue(self, batch, env, ctx):
    raise ConnectionError("mail server is down")
"""

SENDS = """
async def fetch(self, request):
    await self.env.JOBS.send(await request.json())
    return Response.json({"ok": True})
"""
