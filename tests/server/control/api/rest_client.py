"""A session whose REST API a test asks as a client would: the same application, no socket, time that stands still."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from emulator.base.bus import Bus, Notice
from emulator.base.clock import VirtualClock
from emulator.base.coroutines import run_now
from emulator.hosts.events import ScheduledFinished
from emulator.server.addresses import API_PREFIX
from emulator.server.app import App
from emulator.server.control.app import make_control
from emulator.server.gateway import Gateway
from emulator.session.session import Session
from tests.support.configs import load_config

WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("ok")

    async def queue(self, batch, env, ctx):
        raise ValueError("no luck")

    async def scheduled(self, controller, env, ctx):
        pass
"""
FETCH_ONLY = WORKER.partition("    async def queue")[0]

QUEUES: dict[str, list[Any]] = {
    "producers": [{"binding": "JOBS", "queue": "jobs"}],
    "consumers": [{"queue": "jobs", "max_batch_timeout": 0, "max_retries": 1, "dead_letter_queue": "jobs-dlq"}],
}


class Rest:
    """A session with the worker `shop`, which consumes the queue `jobs`, and the worker `web`, which has no queue
    entrypoint. Close it at the end."""

    def __init__(self, directory: Path, token: str = "", bound_host: str = "127.0.0.1") -> None:
        self.directory = directory
        for name, code, queues in (("shop", WORKER, QUEUES), ("web", FETCH_ONLY, {})):
            (directory / name).mkdir()
            (directory / name / "entry.py").write_text(code)
            self.configure(name, queues)
        self.clock = VirtualClock()
        self.notices: list[str] = []
        bus = Bus()
        bus.subscribe(Notice, lambda notice: self.notices.append(notice.text))
        self.crons: list[str] = []
        bus.subscribe(ScheduledFinished, lambda event: self.crons.append(event.cron))
        self.session = Session([self.read("shop"), self.read("web")], bus, clock=self.clock)
        self.runner = asyncio.Runner()
        self.runner.run(self.session.load())
        gateways = [Gateway(host, bus) for host in self.session.hosts]
        app = App(gateways, lambda: make_control(self.session, token, bound_host))
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url=f"http://localhost:8787{API_PREFIX}/accounts/a1")

    def configure(self, name: str, queues: dict[str, Any], **settings: Any) -> None:
        """Write a worker's configuration."""
        configuration = {"name": name, "main": "entry.py", "compatibility_date": "2026-11-01", "queues": queues}
        (self.directory / name / "wrangler.jsonc").write_text(json.dumps({**configuration, **settings}))

    def read(self, name: str) -> Any:
        return load_config(self.directory / name / "wrangler.jsonc")

    def reconfigure(self, queues: dict[str, Any], **settings: Any) -> None:
        """Give the worker `shop` another configuration, as a saved file does."""
        self.configure("shop", queues, **settings)
        self.runner.run(self.session.reconfigure(0, self.read("shop")))

    def bodies(self, queue: str) -> list[bytes]:
        """The bodies of what waits in a queue."""
        return [each.body for each in run_now(self.session.queues.waiting(queue))]

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.run(self.session.stop(0.0))
        self.runner.close()

    def settle(self) -> None:
        """Let all happen that is due now."""

        async def turns() -> None:
            for _ in range(20):
                while self.clock.run_due():
                    pass
                await asyncio.sleep(0)

        self.runner.run(turns())

    def advance(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        self.settle()
        while (due := self.clock.next_timer()) is not None and due <= end:
            self.clock.move_to(due)
            self.settle()
        self.clock.move_to(end)

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self.runner.run(self.client.request(method, path, **request))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The result of a call that succeeds."""
        response = self.send(method, path, **({} if body is None else {"json": body}))
        envelope = response.json()
        assert (response.status_code, envelope["success"], envelope["errors"]) == (200, True, []), envelope
        return envelope["result"]

    def refused(self, method: str, path: str, body: Any = None, **request: Any) -> tuple[int, int, str]:
        """The status, the code and the message of a call that fails."""
        if body is not None:
            request["json"] = body
        response = self.send(method, path, **request)
        envelope = response.json()
        assert (envelope["success"], envelope["result"]) == (False, None)
        (error,) = envelope["errors"]
        return response.status_code, error["code"], error["message"]

    def queue(self, name: str, **settings: Any) -> str:
        """The path of a queue that this makes."""
        made = self.ask("POST", "/queues", {"queue_name": name, "settings": settings})
        return f"/queues/{made['queue_id']}"

    def path_of(self, name: str) -> str:
        """The path of a queue that is there."""
        (found,) = self.ask("GET", f"/queues?name={name}")
        return f"/queues/{found['queue_id']}"

    def pull_queue(self, name: str = "tasks", **body: Any) -> str:
        """The path of a queue that this makes, with a pull consumer."""
        path = self.queue(name)
        self.ask("POST", f"{path}/consumers", {"type": "http_pull", **body})
        return path
