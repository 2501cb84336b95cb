"""`emulator dev` as a user runs it: start, fetch, queue, dead letters, several workers, signals."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Running, write_worker

SIGN_UP = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            await self.env.EVENTS.send({"type": "welcome-email", "path": request.url})
            return Response.json({"ok": True})

        async def queue(self, batch, env, ctx):
            for message in batch.messages:
                print("mail for", message.body.type)
                if "fail" in message.body.path:
                    raise ConnectionError("the mail server is down")
                message.ack()
"""

QUEUES = {
    "producers": [{"binding": "EVENTS", "queue": "my-app-events"}],
    "consumers": [
        {
            "queue": "my-app-events",
            "max_batch_size": 10,
            "max_batch_timeout": 0,
            "max_retries": 1,
            "dead_letter_queue": "my-app-events-dlq",
        }
    ],
}


RUN_BY = sys.executable
Dev = Callable[..., Running]
Start = Callable[..., Running]


def test_a_request_sends_a_message_that_its_consumer_acks(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write_worker(tmp_path, SIGN_UP, queues=QUEUES)
    emulator = dev(tmp_path)
    assert client.get(f"{emulator.url}/signup").json() == {"ok": True}
    emulator.wait_for(r"mail for welcome-email")
    emulator.wait_for(r"QUEUE my-app-events 1/1 acked \(\d+ ms\)")
    assert any("GET /signup 200 OK (" in line for line in emulator.lines)
    assert emulator.end() == 0


def test_a_message_that_keeps_failing_is_dead_lettered_with_its_reason(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    write_worker(tmp_path, SIGN_UP, queues=QUEUES)
    emulator = dev(tmp_path)
    client.get(f"{emulator.url}/fail")
    moved = emulator.wait_for(r".*my-app-events-dlq.*")
    assert "ConnectionError: the mail server is down" in emulator.output or "ConnectionError" in moved.group(0)
    assert sum("mail for" in line for line in emulator.lines) == 2
    assert emulator.end(signal.SIGTERM) == 0


def test_python_m_emulator_says_its_version_and_help(tmp_path: Path, start: Start) -> None:
    shown = start("--help", cwd=tmp_path)
    assert shown.wait() == 0
    assert "dev" in shown.output
    assert "init" in shown.output
    version = start("--version", cwd=tmp_path)
    assert version.wait() == 0


def test_two_workers_share_their_queues_and_not_their_modules(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    producer, consumer = tmp_path / "a", tmp_path / "b"
    write_worker(
        producer,
        """
        from workers import Response, WorkerEntrypoint
        import utils

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                import lazy
                await self.env.JOBS.send(utils.NAME + " " + lazy.NAME)
                return Response(utils.NAME + " " + lazy.NAME)
        """,
        name="front",
        queues={"producers": [{"binding": "JOBS", "queue": "jobs"}]},
    )
    write_worker(
        consumer,
        """
        import utils

        def fetch(request):
            from workers import Response
            import lazy
            return Response(utils.NAME + " " + lazy.NAME)

        async def queue(batch):
            import lazy
            print(utils.NAME, lazy.NAME, "got", batch.messages[0].body)
        """,
        name="back",
        queues={"consumers": [{"queue": "jobs", "max_batch_timeout": 0}]},
    )
    for directory, name in ((producer, "front"), (consumer, "back")):
        (directory / "src" / "utils.py").write_text(f"NAME = '{name}-utils'\n")
        (directory / "src" / "lazy.py").write_text(f"NAME = '{name}-lazy'\n")
    emulator = dev(tmp_path, "-c", "a/wrangler.jsonc", "-c", "b/wrangler.jsonc")
    port = httpx.URL(emulator.url).port
    assert client.get(emulator.url).text == "front-utils front-lazy"
    emulator.wait_for("back-utils back-lazy got front-utils front-lazy")
    back = client.get(emulator.url, headers={"host": f"back.localhost:{port}"})
    assert back.text == "back-utils back-lazy"
    assert client.get(emulator.url, headers={"host": f"front.localhost:{port}"}).text == "front-utils front-lazy"
    assert emulator.end() == 0


def test_a_port_in_use_is_one_sentence_with_an_alternative(tmp_path: Path, start: Start) -> None:
    write_worker(tmp_path, SIGN_UP, queues=QUEUES)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        emulator = start("dev", "-p", str(port), cwd=tmp_path)
        assert emulator.wait() == 2
    assert f"Port {port} is in use" in emulator.output
    assert "Traceback" not in emulator.output


def test_the_first_ctrl_c_lets_a_request_finish(tmp_path: Path, dev: Dev) -> None:
    write_worker(
        tmp_path,
        """
        import asyncio
        from workers import Response

        async def fetch(request):
            print("begun")
            await asyncio.sleep(0.3)
            return Response("finished")
        """,
    )
    emulator = dev(tmp_path)
    port = httpx.URL(emulator.url).port
    with socket.create_connection(("127.0.0.1", port or 0)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        emulator.wait_for("begun")
        emulator.process.send_signal(signal.SIGINT)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.endswith(b"finished")
    assert emulator.wait() == 0


def test_the_second_ctrl_c_stops_at_once(tmp_path: Path, dev: Dev) -> None:
    write_worker(
        tmp_path,
        """
        import asyncio

        async def fetch(request):
            print("begun")
            await asyncio.sleep(3600)
        """,
    )
    emulator = dev(tmp_path)
    port = httpx.URL(emulator.url).port
    with socket.create_connection(("127.0.0.1", port or 0)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        emulator.wait_for("begun")
        emulator.process.send_signal(signal.SIGINT)
        emulator.wait_for("Stopping")
        emulator.process.send_signal(signal.SIGINT)
        assert emulator.wait() == 0


def test_wait_until_work_finishes_on_shutdown(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write_worker(
        tmp_path,
        """
        import asyncio
        from workers import Response

        async def later():
            await asyncio.sleep(0.2)
            print("later is done")

        async def fetch(request, env, ctx):
            ctx.waitUntil(later())
            return Response("at once")
        """,
    )
    emulator = dev(tmp_path)
    assert client.get(emulator.url).text == "at once"
    assert emulator.end() == 0
    assert "later is done" in emulator.output


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "wrangler.jsonc"),
        ({"wrangler.jsonc": '{"name": "x", "main": '}, "wrangler.jsonc:1:"),
        ({"wrangler.jsonc": '{"name": "x", "main": "absent.py"}'}, "absent.py"),
        ({"wrangler.jsonc": '{"name": "x", "main": "e.py", "queues": {"consumers": [{}]}}', "e.py": ""}, "queue"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_a_sentence_and_exit_2(
    tmp_path: Path, start: Start, files: dict[str, str], expected: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    emulator = start("dev", "-p", "0", cwd=tmp_path)
    assert emulator.wait() == 2
    assert expected in emulator.output
    assert "Traceback" not in emulator.output


@pytest.mark.parametrize(("code", "status"), [("async def on_fetch(request): ...", 0), ("raise ValueError", 1)])
def test_check_exits_with_whether_the_worker_loads(tmp_path: Path, start: Start, code: str, status: int) -> None:
    write_worker(tmp_path, code)
    running = start("check", cwd=tmp_path)
    assert running.wait() == status
    assert "shop" in running.output


def test_without_a_port_the_next_free_one_is_taken_and_said_so(
    tmp_path: Path, start: Start, client: httpx.Client
) -> None:
    write_worker(tmp_path, "from workers import Response\nasync def on_fetch(request):\n    return Response('ok')\n")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else has it already
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        emulator = start("dev", cwd=tmp_path)
        said = emulator.wait_for(r"Port 8787 is in use on 127.0.0.1, so port (\d+) is used; -p chooses another one")
        assert emulator.ready().url == f"http://127.0.0.1:{said[1]}"
        assert client.get(emulator.url).text == "ok"


@pytest.mark.parametrize("by", ["option", "configuration"])
def test_a_port_that_was_given_is_not_replaced(tmp_path: Path, start: Start, by: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        of_configuration: dict[str, Any] = {"dev": {"port": port}} if by == "configuration" else {}
        write_worker(tmp_path, "async def on_fetch(request): ...", **of_configuration)
        emulator = start("dev", *(["-p", str(port)] if by == "option" else []), cwd=tmp_path)
        assert emulator.wait() == 2
    assert emulator.output.startswith(f"Error: Port {port} is in use on 127.0.0.1; port ")
    assert len(emulator.lines) == 1


def test_the_end_says_what_is_lost(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(
        tmp_path,
        """
        from workers import Response, WorkerEntrypoint

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                await self.env.Q.send(1)
                return Response("ok")
        """,
        queues={"producers": [{"binding": "Q", "queue": "q"}]},
    )
    running = dev(tmp_path)
    assert httpx.get(running.url).text == "ok"
    assert running.end() == 0
    assert "1 message was still queued (q 1) and is lost; --persist-to DIR keeps messages" in running.output
