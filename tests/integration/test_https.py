"""`emulator dev --https`: what clients, commands and other sessions see of a session that speaks HTTPS."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.conftest import DEADLINE_SECONDS, Running, write_worker
from tests.integration.test_javascript import write as write_javascript
from tests.integration.test_two_sessions import PRODUCER, write_consumer
from tests.support.copies import run_emulator
from tests.support.node_tools import WRANGLER, needs_node, tool

WORKER = """
    from js import WebSocketPair
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.headers.get("upgrade") != "websocket":
                return Response(f"{request.url} {len(await request.text())}")
            client, server = WebSocketPair.new()
            server.accept()
            server.addEventListener("message", lambda event: server.send(f"{request.url} {event.data}"))
            return Response(None, status=101, web_socket=client)

        async def queue(self, batch, env, ctx):
            print(f"GOT {[message.body for message in batch.messages]}")

        async def scheduled(self, controller, env, ctx):
            print(f"CRON {controller.cron}")
"""
JAVASCRIPT = """
    export default {
      async fetch(request) {
        if (request.headers.get("upgrade") !== "websocket") return new Response(request.url);
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.addEventListener("message", (event) => server.send(`${request.url} ${event.data}`));
        server.addEventListener("close", () => server.close());
        return new Response(null, { status: 101, webSocket: client });
      },
    };
"""
QUEUES = {
    "producers": [{"binding": "JOBS", "queue": "jobs"}],
    "consumers": [{"queue": "jobs", "max_batch_timeout": 0}],
}

Dev = Callable[..., Running]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where certificates are kept."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS", raising=False)
    return tmp_path / "data/emulator/https"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    write_worker(tmp_path / "app", WORKER, queues=QUEUES, triggers={"crons": ["0 6 * * *"]})
    return tmp_path / "app"


def trusting(kept: Path) -> ssl.SSLContext:
    [trusted] = [path for path in kept.glob("*.pem") if not path.name.endswith(".key.pem")]
    return ssl.create_default_context(cafile=str(trusted))


def test_who_trusts_the_certificate_is_served(dev: Dev, app: Path, kept: Path) -> None:
    running = dev(app, "--https")
    assert running.url.startswith("https://127.0.0.1:")
    assert re.search(r"A certificate was made for HTTPS: a browser that trusts \S+/localhost\.pem", running.output)
    with httpx.Client(verify=trusting(kept)) as client:
        for url in (running.url, running.url.replace("127.0.0.1", "localhost")):
            assert client.get(f"{url}/x?y=1").text == f"{url}/x?y=1 0"
        assert client.post(running.url, content=b"x" * 3_000_000).text.endswith(" 3000000")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(running.url)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(running.url.replace("https", "http"))
    assert running.end() == 0
    assert not re.search("Traceback|SSL", running.output)
    assert "certificate" not in dev(app, "--https").output, "it is kept"


def test_a_head_that_is_too_long_is_refused(dev: Dev, app: Path, kept: Path) -> None:
    running = dev(app, "--https")
    address = urlsplit(running.url)
    with (
        socket.create_connection(("127.0.0.1", address.port or 0), DEADLINE_SECONDS) as plain,
        trusting(kept).wrap_socket(plain, server_hostname="127.0.0.1") as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000)
        assert client.recv(1_000).startswith(b"HTTP/1.1 431 ")
    assert running.end() == 0
    assert "Traceback" not in running.output


def test_websockets_of_a_python_worker(dev: Dev, app: Path, kept: Path) -> None:
    url = dev(app, "--https").url
    with connect(f"{url.replace('https', 'wss')}/room", ssl=trusting(kept), max_size=None) as client:
        client.send("x" * 1_000_000)
        assert client.recv(DEADLINE_SECONDS) == f"{url}/room " + "x" * 1_000_000


@needs_node
@pytest.mark.usefixtures("javascript")
def test_websockets_of_a_javascript_worker_beside_a_python_worker(
    start: Callable[..., Running], app: Path, kept: Path, tmp_path: Path
) -> None:
    second = write_javascript(tmp_path, "chat", "index.js", JAVASCRIPT)
    arguments = ("dev", "-p", "0", "--https", "-c", str(app / "wrangler.jsonc"), "-c", str(second))
    running = start(*arguments, cwd=tmp_path).ready()
    address = f"chat.localhost:{urlsplit(running.url).port}"
    assert f"https://{address}" in running.output
    with socket.create_connection(("127.0.0.1", urlsplit(running.url).port or 0)) as plain:
        opened = connect(f"wss://{address}/room", sock=plain, ssl=trusting(kept), server_hostname="chat.localhost")
        with opened as client:
            client.send("hello")
            assert client.recv(DEADLINE_SECONDS) == f"https://{address}/room hello"
    with httpx.Client(verify=trusting(kept)) as client:
        answer = client.get(running.url, headers={"host": address}, extensions={"sni_hostname": "chat.localhost"})
        assert answer.text == f"https://{address}/"


def test_commands_find_it_and_trust_it(dev: Dev, app: Path) -> None:
    running = dev(app, "--https")
    assert run_emulator(app, "queues", "send", "jobs", '"by hand"').returncode == 0
    running.wait_for(re.escape("GOT ['by hand']"))
    assert "jobs" in run_emulator(app, "queues", "list", "--url", running.url).stdout
    assert run_emulator(app, "trigger", "0 6 * * *").returncode == 0
    running.wait_for(re.escape("CRON 0 6 * * *"))
    elsewhere = running.url.replace("127.0.0.1", "localhost")
    refused = run_emulator(app, "queues", "list", "--url", elsewhere)
    assert refused.returncode == 2
    assert "is not trusted" in refused.stderr
    assert "give its address as `emulator dev` printed it" in refused.stderr


def test_messages_go_to_a_session_that_speaks_https_and_from_one(dev: Dev, tmp_path: Path, kept: Path) -> None:
    (tmp_path / ".git").mkdir()
    write_worker(tmp_path / "web", PRODUCER, name="web", queues={"producers": [{"binding": "JOBS", "queue": "jobs"}]})
    jobs = dev(write_consumer(tmp_path / "jobs"), "--https")
    web = dev(tmp_path / "web", "--https")
    with httpx.Client(verify=trusting(kept)) as client:
        client.get(f"{web.url}/1")
    jobs.wait_for(re.escape("GOT [1] of jobs 1"))
    web.wait_for("QUEUE jobs 1/1 forwarded")
    jobs.end()
    web.wait_for("is no longer running")
    with httpx.Client(verify=trusting(kept)) as client:
        client.get(f"{web.url}/2")
    dev(tmp_path / "jobs").wait_for(re.escape("GOT [2] of jobs 1"))


@needs_node
def test_wrangler_trusts_it_with_what_env_prints(dev: Dev, app: Path, tmp_path: Path, newest_node: str) -> None:
    dev(app, "--https")
    printed = run_emulator(app, "env", "--shell", "bash").stdout
    assert f"NODE_EXTRA_CA_CERTS={tmp_path}/data/emulator/https/localhost.pem" in printed
    script = f'{printed}\n"$NODE" "$WRANGLER" queues list'
    environment = {
        **os.environ,
        "NODE": newest_node,
        "WRANGLER": str(tool(WRANGLER)),
        "WRANGLER_SEND_METRICS": "false",
        "WRANGLER_LOG_PATH": str(tmp_path / "logs"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    listed = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "jobs" in listed.stdout


def test_a_certificate_of_ones_own(dev: Dev, app: Path, tmp_path: Path) -> None:
    import trustme

    authority = trustme.CA()
    leaf = authority.issue_cert("dev.example", "127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(app / "cert.pem")
    leaf.private_key_pem.write_to_path(app / "key.pem")
    running = dev(app, "--https-cert-path", "cert.pem", "--https-key-path", "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert httpx.get(running.url, verify=context).text == f"{running.url}/ 0"
    assert "jobs" in run_emulator(app, "queues", "list").stdout
    assert not (tmp_path / "data").exists()


def test_the_configuration_asks_for_it_and_the_command_line_wins(dev: Dev, tmp_path: Path) -> None:
    write_worker(tmp_path / "app", WORKER, dev={"local_protocol": "https"})
    first = dev(tmp_path / "app")
    assert first.url.startswith("https://")
    first.end()
    assert dev(tmp_path / "app", "--local-protocol", "http").url.startswith("http://")
