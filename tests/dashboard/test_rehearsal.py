"""A rehearsal: the batch that failed, on the code as it is now, without effects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Running, dev, start, write_worker  # noqa: F401 - fixtures
from tests.support.copies import run_emulator
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

PYTHON = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.method == "GET":
                return Response(str(await self.env.KV.get("count")))
            await self.env.JOBS.sendBatch([{"body": "a"}, {"body": "b"}])
            return Response("sent")

        async def queue(self, batch, env, ctx):
            for message in batch.messages:
                if FAILS and message.body == "b":
                    raise ValueError("not yet")
                print(f"DOING {message.body}")
                await self.env.KV.put("count", "1")
                await self.env.NEXT.send(message.body)
                message.ack()
"""
JAVASCRIPT = """
export default {
  async fetch(request, env) {
    if (request.method === "GET") return new Response(String(await env.KV.get("count")));
    await env.JOBS.sendBatch([{ body: "a" }, { body: "b" }]);
    return new Response("sent");
  },
  async queue(batch, env) {
    for (const message of batch.messages) {
      if (FAILS && message.body === "b") throw new Error("not yet");
      console.log(`DOING ${message.body}`);
      await env.KV.put("count", "1");
      await env.NEXT.send(message.body);
      message.ack();
    }
  },
};
"""
SETTINGS: dict[str, Any] = {
    "kv_namespaces": [{"binding": "KV"}],
    "queues": {
        "producers": [{"binding": "JOBS", "queue": "jobs"}, {"binding": "NEXT", "queue": "next"}],
        "consumers": [{"queue": "jobs", "max_batch_timeout": 0, "max_retries": 0, "dead_letter_queue": "dead"}],
    },
}


def rehearse(cwd: Path, message: str, status: int) -> dict[str, Any]:
    ended = run_emulator(cwd, "rehearse", message, "--json")
    assert ended.returncode == status, ended.stdout + ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def asked(session: Running, path: str) -> Any:
    return httpx.get(f"{session.url}/cdn-cgi/emulator/api{path}").json()


@pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=needs_node)])
def test_a_batch_that_failed_is_rehearsed_on_the_new_code_and_nothing_is_carried_out(
    language: str,
    dev: Callable[..., Running],  # noqa: F811
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    code = tmp_path / ("src/entry.py" if language == "python" else "index.js")
    text = PYTHON
    if language == "javascript":
        request.getfixturevalue("javascript")
        text = JAVASCRIPT
        code.write_text(text.replace("FAILS", "true"))
        described = {"name": "app", "main": "index.js", "compatibility_date": "2026-04-01", **SETTINGS}
        (tmp_path / "wrangler.json").write_text(json.dumps(described))
    else:
        write_worker(tmp_path, text.replace("FAILS", "True"), **SETTINGS)
    session = dev(tmp_path, "--no-share")
    assert httpx.post(session.url).text == "sent"
    session.wait_for("moved 1 message|1 moved to dead|2 moved to dead")
    [dead] = asked(session, "/messages?filter=state:dead%20body:b")["messages"]

    failed = rehearse(tmp_path, dead["id"], status=1)
    assert not failed["is_good"]
    assert "not yet" in failed["because"]

    source = code.read_text()
    code.write_text(source.replace("True and", "False and").replace("true &&", "false &&"))
    session.wait_for("To run the batch that failed on this code, with no effect: emulator rehearse [0-9a-f]+")
    attempts = [each for life in asked(session, f"/messages/{dead['id']}")["lives"] for each in life["attempts"]]
    if language == "python":
        assert "".join(line["text"] for each in attempts for line in each["trouble"]["source"]).count("False and") == 0
    before = asked(session, "/queues")
    count = httpx.get(session.url).text
    good = rehearse(tmp_path, dead["id"], status=0)
    assert good["is_good"]
    assert {each["result"] for each in good["messages"]} == {"acked"}
    told = [each["event"] for each in good["events"]]
    assert "output" in told
    assert told.count("sent") == len(good["messages"])
    assert "binding" in told
    assert asked(session, "/queues") == before
    assert httpx.get(session.url).text == count
    assert session.end() == 0
    assert session.output.count("DOING b") == 0


def test_what_was_never_delivered_cannot_be_rehearsed(
    dev: Callable[..., Running],  # noqa: F811
    tmp_path: Path,
) -> None:
    write_worker(tmp_path, PYTHON.replace("FAILS", "True"), **SETTINGS)
    dev(tmp_path, "--no-share")
    ended = run_emulator(tmp_path, "rehearse", "0" * 32)
    assert ended.returncode == 2
    assert "nothing is known of a message" in ended.stderr
