"""JavaScript workers in the real program: served, reloaded, beside Python workers, and never left behind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from node_tools import needs_node

if TYPE_CHECKING:
    from conftest import Running

DEADLINE_SECONDS = 20.0

pytestmark = [needs_node, pytest.mark.usefixtures("javascript")]

SENDER = """
    export default {
      async fetch(request, env) {
        const { pathname } = new URL(request.url);
        if (pathname === "/send") await env.JOBS.send({ from: "JavaScript" });
        if (pathname === "/throw") throw new TypeError("boom");
        return new Response("VERSION");
      },
    };
"""
CONSUMER = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch):
            print("got", dict(batch.messages[0].body))
"""


def write(directory: Path, name: str, main: str, source: str, **settings: Any) -> Path:
    """Write a worker and its configuration, and return the path of the latter."""
    root = directory / name
    root.mkdir(exist_ok=True)
    (root / main).write_text(textwrap.dedent(source))
    path = root / "wrangler.jsonc"
    path.write_text(json.dumps({"name": name, "main": main, "compatibility_date": "2026-04-01", **settings}))
    return path


def producer(queue: str) -> dict[str, Any]:
    return {"producers": [{"binding": "JOBS", "queue": queue}]}


def consumer(queue: str) -> dict[str, Any]:
    return {"consumers": [{"queue": queue, "max_batch_timeout": 0}]}


def descendants(pid: int) -> dict[int, str]:
    """The processes that `pid` has started and that they have started: process ids and commands."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    found: dict[int, str] = {}
    parents = {pid}
    while parents:
        parents = {int(own) for own, parent, _ in rows if int(parent) in parents}
        found |= {int(own): name for own, _, name in rows if int(own) in parents}
    return found


def test_a_javascript_worker_sends_to_a_python_worker(start: Callable[..., Running], tmp_path: Path) -> None:
    sender = write(tmp_path, "sender", "index.js", SENDER, queues=producer("jobs"))
    receiver = write(tmp_path, "receiver", "entry.py", CONSUMER, queues=consumer("jobs"))
    running = start("dev", "-p", "0", "-c", str(sender), "-c", str(receiver), cwd=tmp_path).ready()
    assert httpx.get(f"{running.url}/send").text == "VERSION"
    running.wait_for(r"\[receiver QUEUE jobs\] got \{'from': 'JavaScript'\}")
    running.wait_for("1/1 acked")
    assert running.end() == 0


def test_a_saved_javascript_file_is_served_and_a_broken_one_is_explained(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    path = write(tmp_path, "app", "index.js", SENDER, queues=producer("jobs"))
    main = path.parent / "index.js"
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    main.write_text(textwrap.dedent(SENDER.replace("VERSION", "two")))
    running.wait_for(r"Reloaded app in \d+ ms \(index\.js\)")
    assert httpx.get(running.url).text == "two"
    main.write_text("export default {\n  fetch( {\n};\n")
    running.wait_for("SyntaxError")
    answer = httpx.get(running.url)
    assert answer.status_code == 500
    assert "The worker's code does not load" in answer.text
    assert "index.js:" in answer.text
    main.write_text(textwrap.dedent(SENDER.replace("VERSION", "three")))
    running.wait_for(r"Reloaded app")
    assert httpx.get(running.url).text == "three"
    assert running.end() == 0


def test_an_exception_is_shown_with_the_line_it_came_from(start: Callable[..., Running], tmp_path: Path) -> None:
    path = write(tmp_path, "app", "index.js", SENDER, queues=producer("jobs"))
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    answer = httpx.get(f"{running.url}/throw")
    assert answer.status_code == 500
    assert f"TypeError: boom\n    at Object.fetch ({path.parent}/index.js:6:" in answer.text
    page = httpx.get(f"{running.url}/throw", headers={"accept": "text/html"}).text
    assert "throw new TypeError(&#34;boom&#34;)" in page
    running.wait_for("Error in GET /throw: TypeError: boom")
    running.wait_for(r"index\.js:6 in Object\.fetch")


def test_answers_keep_their_headers_and_the_urls_their_host(start: Callable[..., Running], tmp_path: Path) -> None:
    source = """
        export default {
          fetch(request) {
            const headers = new Headers([["set-cookie", "a=1"], ["set-cookie", "b=2"]]);
            return new Response(request.url, { headers });
          },
        };
    """
    path = write(tmp_path, "app", "index.js", source)
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    with httpx.Client() as client:
        answer = client.get(f"{running.url}/path?a=1", headers={"host": "shop.example"})
        assert answer.text == "http://shop.example/path?a=1"
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
        head = client.head(f"{running.url}/path")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(f"{running.url}/path"))


@pytest.mark.skipif(sys.platform != "linux", reason="waits for processes by their pidfd")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workerd_does_not_outlive_the_emulator(start: Callable[..., Running], tmp_path: Path, number: int) -> None:
    path = write(tmp_path, "app", "index.js", SENDER, queues=producer("jobs"))
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    assert httpx.get(running.url).status_code == 200
    below = descendants(running.process.pid)
    assert "workerd" in " ".join(below.values())
    handles = [os.pidfd_open(pid) for pid in below]
    try:
        running.end(number)
        for handle in handles:
            assert select.select([handle], [], [], DEADLINE_SECONDS)[0], "it is still there"
    finally:
        for handle in handles:
            os.close(handle)


def test_ctrl_c_in_the_terminal_lets_a_request_finish(start: Callable[..., Running], tmp_path: Path) -> None:
    source = """
        export default {
          async fetch() {
            console.log("began");
            await scheduler.wait(300);
            return new Response("finished");
          },
        };
    """
    path = write(tmp_path, "app", "index.js", source)
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    answers: list[str] = []
    with httpx.Client() as client:
        thread = threading.Thread(target=lambda: answers.append(client.get(running.url).text))
        thread.start()
        running.wait_for("began")
        assert running.end(signal.SIGINT) == 0
        thread.join(DEADLINE_SECONDS)
        assert answers == ["finished"]


def test_a_python_session_imports_nothing_of_it(start: Callable[..., Running], tmp_path: Path) -> None:
    source = """
        import sys
        from workers import Response, WorkerEntrypoint

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                loaded = [name for name in sys.modules if "workerd" in name or "hosts.javascript" in name]
                return Response.json(loaded)
    """
    path = write(tmp_path, "app", "entry.py", source)
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    assert httpx.get(running.url).json() == []


@pytest.mark.parametrize(("source", "status"), [(SENDER, 0), ("export default {", 1)])
def test_check_exits_with_whether_the_javascript_loads(
    start_javascript: Callable[..., Running], tmp_path: Path, source: str, status: int
) -> None:
    path = write(tmp_path, "app", "index.js", source, queues=producer("jobs"))
    running = start_javascript("check", cwd=path.parent)
    assert running.wait() == status
    assert ("fetch" if status == 0 else "SyntaxError") in running.output
