"""KV in the real program: kept over a restart and `kill -9`, and used by its real clients."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare

from tests.integration.conftest import ACCOUNT, API, DEADLINE_SECONDS, Running, write_worker
from tests.support.copies import run_emulator
from tests.support.node_tools import needs_node

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            name = request.url.rsplit("/", 1)[1]
            if request.method == "PUT":
                await self.env.NOTES.put(name, await request.text())
            return Response(await self.env.NOTES.get(name) or "nothing")
"""
NAMESPACES = [{"binding": "NOTES", "id": "notes"}]
STATE = ".wrangler/state/emulator"


@pytest.fixture
def session(dev: Callable[..., Running], tmp_path: Path) -> Running:
    write_worker(tmp_path, WORKER, kv_namespaces=NAMESPACES)
    return dev(tmp_path)


@pytest.fixture
def sdk(session: Running) -> Iterator[Cloudflare]:
    with Cloudflare(api_token="x", base_url=f"{session.url}{API}") as made:
        yield made


def test_values_are_kept_over_restarts_unless_nothing_is_to_be_kept(
    dev: Callable[..., Running], session: Running, tmp_path: Path
) -> None:
    large = "x" * 1_000_000
    assert httpx.put(f"{session.url}/a", content="one").text == "one"
    assert httpx.put(f"{session.url}/large", content=large).text == large
    assert session.end() == 0
    assert sorted(path.name for path in (tmp_path / STATE).iterdir()) == ["bindings"]  # no queue is kept
    again = dev(tmp_path)
    assert httpx.get(f"{again.url}/a").text == "one"
    assert httpx.get(f"{again.url}/large").text == large
    assert again.end() == 0
    forgetful = dev(tmp_path, "--no-persist")
    assert httpx.get(f"{forgetful.url}/a").text == "nothing"
    assert forgetful.end() == 0
    elsewhere = dev(tmp_path, "--persist-to", str(tmp_path / "elsewhere"))
    assert httpx.put(f"{elsewhere.url}/a", content="there").text == "there"
    assert elsewhere.end() == 0
    assert (tmp_path / "elsewhere/bindings/kv.sqlite").is_file()
    assert httpx.get(f"{dev(tmp_path, '--persist').url}/a").text == "one"
    assert [path.name for path in (tmp_path / STATE).glob("journal-*")]


def test_kill_9_loses_nothing_that_was_answered(dev: Callable[..., Running], session: Running, tmp_path: Path) -> None:
    with httpx.Client() as client:
        for number in range(60):
            content = str(number) * (1 if number % 3 else 300_000)
            assert client.put(f"{session.url}/{number}", content=content).status_code == 200
    session.end(signal.SIGKILL)
    again = dev(tmp_path)
    with httpx.Client() as client:
        for number in range(60):
            content = str(number) * (1 if number % 3 else 300_000)
            assert client.get(f"{again.url}/{number}").text == content


def test_two_sessions_on_one_directory_see_one_store(
    dev: Callable[..., Running], session: Running, tmp_path: Path
) -> None:
    other = dev(tmp_path, "--no-share")
    httpx.put(f"{session.url}/a", content="from the first")
    assert httpx.get(f"{other.url}/a").text == "from the first"


def test_a_damaged_store_is_a_sentence(start: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path, WORKER, kv_namespaces=NAMESPACES)
    (tmp_path / STATE / "bindings").mkdir(parents=True)
    (tmp_path / STATE / "bindings/kv.sqlite").write_bytes(b"no database" * 1000)
    running = start("dev", "-p", "0", cwd=tmp_path)
    running.wait_for(r"bindings/kv\.sqlite is damaged")
    assert running.process.wait(DEADLINE_SECONDS) == 2
    assert not any("Traceback" in line for line in running.lines)


def test_the_sdk_reads_and_writes(sdk: Cloudflare, session: Running) -> None:
    kv = sdk.kv.namespaces
    assert [(each.id, each.title) for each in kv.list(account_id=ACCOUNT)] == [("notes", "notes")]
    kv.values.update("a/b é", account_id=ACCOUNT, namespace_id="notes", value=b"by the SDK", metadata='{"n": 1}')
    kv.values.update("short", account_id=ACCOUNT, namespace_id="notes", value=b"x", expiration_ttl=60)
    assert kv.values.get("a/b é", account_id=ACCOUNT, namespace_id="notes").text() == "by the SDK"
    listed = list(kv.keys.list(namespace_id="notes", account_id=ACCOUNT))
    assert [(key.name, key.metadata) for key in listed] == [("a/b é", {"n": 1}), ("short", None)]
    assert listed[1].expiration is not None
    kv.bulk_update(
        "notes", account_id=ACCOUNT, body=[{"key": "b", "value": "2"}, {"key": "c", "value": "Mw==", "base64": True}]
    )
    assert httpx.get(f"{session.url}/c").text == "3"
    kv.bulk_delete("notes", account_id=ACCOUNT, body=["b", "c", "short"])
    kv.values.delete("a/b é", account_id=ACCOUNT, namespace_id="notes")
    assert list(kv.keys.list(namespace_id="notes", account_id=ACCOUNT)) == []
    with pytest.raises(cloudflare.NotFoundError, match="key not found"):
        kv.values.get("absent", account_id=ACCOUNT, namespace_id="notes")
    with pytest.raises(cloudflare.NotFoundError, match="namespace not found"):
        kv.keys.list(namespace_id="absent", account_id=ACCOUNT)
    made = kv.create(account_id=ACCOUNT, title="more")
    assert made is not None
    kv.delete(made.id, account_id=ACCOUNT)
    assert len(list(kv.list(account_id=ACCOUNT))) == 1


@needs_node
def test_wrangler_kv_works_unchanged(session: Running, wrangler: Callable[..., str]) -> None:
    wrangler(
        "kv",
        "key",
        "put",
        "--binding",
        "NOTES",
        "--remote",
        "a",
        "by wrangler",
        "--metadata",
        '{"n":2}',
        "--preview",
        "false",
    )
    assert httpx.get(f"{session.url}/a").text == "by wrangler"
    assert "by wrangler" in wrangler("kv", "key", "get", "--binding", "NOTES", "--remote", "a", "--preview", "false")
    listed = wrangler("kv", "key", "list", "--binding", "NOTES", "--remote", "--preview", "false")
    assert json.loads(listed[listed.index("[") :]) == [{"name": "a", "metadata": {"n": 2}}]


def test_our_command_asks_the_running_session(session: Running, tmp_path: Path) -> None:
    def kv(*arguments: str) -> str:
        return run_emulator(tmp_path, "kv", *arguments).stdout

    assert kv("put", "NOTES", "a", "by hand") == "Kept a (7 bytes)\n"
    assert httpx.get(f"{session.url}/a").text == "by hand"
    httpx.put(f"{session.url}/b", content="by the worker")
    assert kv("get", "NOTES", "b", "--url", session.url) == "by the worker"
