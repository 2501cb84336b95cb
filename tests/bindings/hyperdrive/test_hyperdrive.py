"""Hyperdrive: what leads where, and bytes from a JavaScript worker to a server and back."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.base.errors import EmulatorError
from emulator.bindings.hyperdrive.config import OriginDatabase, parse
from emulator.bindings.hyperdrive.kind import HYPERDRIVE
from emulator.testing import Emulator
from emulator_runtime.errors import NotEmulatedError
from tests.config.project import assert_warnings, load, wrap
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

PYTHON = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        db = self.env.DB
        return Response.json([db.connectionString, db.host, db.port, db.user, db.password, db.database])
"""
JAVASCRIPT = """
import { connect } from "cloudflare:sockets";

async function ask(socket, text) {
  const writer = socket.writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  const { value } = await socket.readable.getReader().read();
  await socket.close();
  return new TextDecoder().decode(value);
}

export default {
  async fetch(request, { DB }) {
    const { host, port, user, password, database } = DB;
    const url = new URL(DB.connectionString);
    return Response.json({
      fields: [port, user, password, database, url.protocol, url.username, url.pathname],
      isOwnHost: url.hostname === host && host !== "127.0.0.1",
      connected: await ask(DB.connect(), "one"),
      addressed: await ask(connect({ hostname: host, port }), "two"),
    });
  },
};
"""


class Echo(socketserver.BaseRequestHandler):
    """Answers with what it gets, turned around."""

    def handle(self) -> None:
        while content := self.request.recv(1024):
            self.request.sendall(content[::-1])


@pytest.fixture
def port() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def settings(string: str) -> dict[str, Any]:
    return {"hyperdrive": [{"binding": "DB", "id": "1", "localConnectionString": string}]}


@needs_node
@pytest.mark.usefixtures("javascript")
def test_bytes_of_a_javascript_worker_go_to_the_server_and_back(tmp_path: Path, port: int) -> None:
    (tmp_path / "index.js").write_text(JAVASCRIPT)
    described = {"name": "app", "main": "index.js", "compatibility_date": "2026-04-01"}
    given = settings(f"postgres://ada:p%40ss@127.0.0.1:{port}/shop")
    (tmp_path / "wrangler.json").write_text(json.dumps({**described, **given}))
    with Emulator(tmp_path / "wrangler.json") as emulator:
        told = emulator.get("/").json()
    assert told == {
        "fields": [5432, "ada", "p@ss", "shop", "postgres:", "ada", "/shop"],
        "isOwnHost": True,
        "connected": "eno",
        "addressed": "owt",
    }


def test_a_python_worker_is_told_where_the_database_is() -> None:
    with Emulator(main=PYTHON, settings=settings("mysql://ada:p%40ss@db.example/shop")) as emulator:
        string = "mysql://ada:p%40ss@db.example:3306/shop"
        assert emulator.get("/").json() == [string, "db.example", 3306, "ada", "p@ss", "shop"]


@pytest.mark.parametrize(
    "name", ["CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB", "WRANGLER_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB"]
)
@pytest.mark.parametrize("place", ["environment", ".env", ".dev.vars"])
def test_a_variable_counts_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: str) -> None:
    string = "postgres://a:b@elsewhere/shop"
    if place == "environment":
        monkeypatch.setenv(name, string)
    else:
        (tmp_path / place).write_text(f"{name}={string}\n")
    for own in ({}, {"localConnectionString": "postgres://a:b@here/shop"}):
        config = load(tmp_path, wrap(f'"hyperdrive": [{json.dumps({"binding": "DB", "id": "1", **own})}]'))
        assert HYPERDRIVE.bindings(config)["DB"].host == "elsewhere"


@pytest.mark.parametrize(
    ("string", "words"),
    [
        ("oracle://a:b@h/d", "must begin with postgres://, postgresql:// or mysql://"),
        ("postgres://a:b@h", "has no database"),
        ("postgres://a:b@/d", "has no host"),
        ("postgres://h/d", "has no user"),
        ("postgres://a@h/d", "has no password"),
        ("postgres://a:b@h:port/d", "is not a URL"),
    ],
)
def test_a_wrong_connection_string_is_an_error_that_does_not_show_it(string: str, words: str) -> None:
    assert str(parse(string)).startswith(words)
    with pytest.raises(EmulatorError) as caught:
        Emulator(main=PYTHON, settings=settings(string)).__enter__()
    assert f"localConnectionString: {words}" in str(caught.value)
    assert string not in str(caught.value)


def test_a_host_may_be_an_address_of_ipv6() -> None:
    found = parse("postgresql://a:b@[::1]/d")
    assert found == OriginDatabase("postgresql", "a", "b", "::1", 5432, "d")
    assert found.connection_string == "postgresql://a:b@[::1]:5432/d"


def test_a_binding_without_a_database_is_not_emulated(tmp_path: Path) -> None:
    text = wrap('"hyperdrive": [{"binding": ▶"DB", "id": "1"}]')
    words = "hyperdrive[0].binding: leads to no database on this machine: using env.DB raises an error"
    variable = "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB"
    assert_warnings(tmp_path, text, [f'{words}\nGive it a "localConnectionString", or set {variable}.'])
    given = {"hyperdrive": [{"binding": "DB", "id": "1"}]}
    with (
        Emulator(main=PYTHON, settings=given) as emulator,
        pytest.raises(NotEmulatedError, match=r"env\.DB \(hyperdrive"),
    ):
        emulator.get("/")


def test_what_has_no_effect_is_a_warning(tmp_path: Path) -> None:
    string = '"localConnectionString": "postgres://a:b@h/d?sslmode=require"'
    text = wrap(f'"hyperdrive": [{{"binding": ▶"DB", "id": "1", {string}}}]')
    expected = (
        "localConnectionString asks for TLS (require), which is not used here: bytes go to the database as they are"
    )
    assert_warnings(tmp_path, text, [f"hyperdrive[0].binding: {expected}"])
