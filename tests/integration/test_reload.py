"""Hot reload in the real process: what is saved runs, what runs finishes, and nothing is lost when it does not load."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from emulator.session.watch import Watcher
from tests.integration.conftest import DEADLINE_SECONDS, Running, write_worker
from tests.support.configs import load_config

Dev = Callable[..., Running]

VERSION = """
    from workers import Response

    async def fetch(request, env):
        return Response("version {version} " + getattr(env, "GREETING", ""))
"""

CONSUMER = """
    from workers import Response

    async def fetch(request, env):
        await env.JOBS.send("job")
        return Response("sent")

    async def queue(batch):
        for message in batch.messages:
            print("version {version} got", message.body, "attempt", message.attempts)
"""

JOBS = {
    "producers": [{"binding": "JOBS", "queue": "jobs"}],
    "consumers": [{"queue": "jobs", "max_batch_timeout": 0, "max_retries": 0}],
}


def test_a_saved_file_is_live(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    entry = write_worker(tmp_path, VERSION.format(version=1))
    emulator = dev(tmp_path)
    assert client.get(emulator.url).text == "version 1 "
    write_worker(tmp_path, VERSION.format(version=2))
    emulator.wait_for(r"Reloaded shop in \d+ ms")
    assert client.get(emulator.url).text == "version 2 "
    assert entry.exists()
    assert not (entry.parent / "__pycache__").exists()


def test_a_burst_of_saves_through_temporary_files_is_one_reload(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    entry = write_worker(tmp_path, VERSION.format(version=1))
    emulator = dev(tmp_path)
    for version in range(2, 5):
        temporary = entry.with_name(".entry.py.swp")
        temporary.write_text(textwrap.dedent(VERSION.format(version=version)))
        temporary.replace(entry)
    emulator.wait_for("Reloaded shop")
    # The watch may have begun in the middle of the burst, which makes two of it.
    while client.get(emulator.url).text != "version 4 ":
        emulator.wait_for("Reloaded shop")
    assert emulator.end() == 0
    assert sum("Reloaded" in line for line in emulator.lines) <= 2


def test_a_helper_module_in_a_new_directory_reloads_too(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write_worker(tmp_path, VERSION.format(version=1))
    emulator = dev(tmp_path)
    package = tmp_path / "src" / "texts"
    package.mkdir()
    (package / "__init__.py").write_text("GREETING = 'one'\n")
    emulator.wait_for("Reloaded shop")
    write_worker(
        tmp_path,
        """
        from texts import GREETING
        from workers import Response

        def fetch(request):
            return Response(GREETING)
        """,
    )
    emulator.wait_for("Reloaded shop")
    assert client.get(emulator.url).text == "one"
    (package / "__init__.py").write_text("GREETING = 'two'\n")
    emulator.wait_for("Reloaded shop")
    assert client.get(emulator.url).text == "two"


def test_code_that_does_not_load_is_shown_and_deliveries_wait_for_the_next_good_save(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    entry = write_worker(tmp_path, CONSUMER.format(version=1))
    # The producer is a worker of its own, so that it can still send.
    other = tmp_path / "other"
    write_worker(
        other,
        CONSUMER.format(version=0).split("async def queue")[0],
        name="other",
        queues={"producers": JOBS["producers"]},
    )
    (tmp_path / "wrangler.jsonc").write_text(
        json.dumps({"name": "shop", "main": "src/entry.py", "queues": {"consumers": JOBS["consumers"]}})
    )
    emulator = dev(tmp_path, "-c", "wrangler.jsonc", "-c", "other/wrangler.jsonc")
    port = httpx.URL(emulator.url).port

    def send() -> None:
        assert client.get(emulator.url, headers={"host": f"other.localhost:{port}"}).text == "sent"

    send()
    emulator.wait_for("version 1 got job attempt 1")
    entry.write_text("def queue(batch:\n")
    emulator.wait_for(r"entry\.py:1")
    answer = client.get(emulator.url)
    assert answer.status_code == 500
    assert "SyntaxError" in answer.text
    assert "entry.py" in answer.text
    for _ in range(3):
        send()
    write_worker(tmp_path / "copy", CONSUMER.format(version=2))
    entry.write_text((tmp_path / "copy" / "src" / "entry.py").read_text())
    emulator.wait_for("Reloaded shop")
    for _ in range(3):
        emulator.wait_for("version 2 got job attempt 1")
    assert emulator.end() == 0


def test_a_file_that_stays_empty_fails_after_a_moment(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    entry = write_worker(tmp_path, VERSION.format(version=1))
    emulator = dev(tmp_path)
    entry.write_text("")
    emulator.wait_for("the module has no entrypoint")
    assert client.get(emulator.url).status_code == 500


def test_what_runs_finishes_on_the_old_code(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    code = """
        import asyncio
        from workers import Response

        waiting = asyncio.Event()

        async def fetch(request):
            if request.url.endswith("/wait"):
                print("waiting")
                await asyncio.sleep(0.5)
                import late
                return Response(f"version {version} {{late.NAME}}")
            return Response("version {version}")
    """
    write_worker(tmp_path, code.format(version=1))
    (tmp_path / "src" / "late.py").write_text("NAME = 'late'\n")
    emulator = dev(tmp_path)
    answers: list[str] = []
    url = emulator.url
    request = threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/wait", timeout=20).text))
    request.start()
    emulator.wait_for("waiting")
    write_worker(tmp_path, code.format(version=2))
    emulator.wait_for("Reloaded shop")
    assert client.get(emulator.url).text == "version 2"
    request.join(20)
    assert answers == ["version 1 late"]


def test_no_request_fails_while_files_are_saved(tmp_path: Path, dev: Dev) -> None:
    write_worker(tmp_path, VERSION.format(version=0))
    emulator = dev(tmp_path)
    failures: list[object] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            # A connection of its own each time: none may be refused.
            answer = httpx.get(emulator.url, timeout=20)
            if answer.status_code != 200:
                failures.append(answer.text)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for version in range(1, 6):
            write_worker(tmp_path, VERSION.format(version=version))
            emulator.wait_for("Reloaded shop")
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert failures == []


def test_a_change_of_configuration_acts_in_place_and_keeps_messages(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    code = CONSUMER.format(version=1)
    write_worker(tmp_path, code, queues={"producers": JOBS["producers"]}, vars={"GREETING": "hello"})
    emulator = dev(tmp_path)
    assert client.get(emulator.url).text == "sent"
    write_worker(tmp_path, code, queues=JOBS, vars={"GREETING": "hello"})
    emulator.wait_for("version 1 got job attempt 1")


def test_secrets_and_vars_reload(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write_worker(tmp_path, VERSION.format(version=1), vars={"GREETING": "hello"})
    emulator = dev(tmp_path)
    assert client.get(emulator.url).text == "version 1 hello"
    (tmp_path / ".dev.vars").write_text("GREETING=secret\n")
    emulator.wait_for("Reloaded shop")
    assert client.get(emulator.url).text == "version 1 secret"
    (tmp_path / ".dev.vars").unlink()
    emulator.wait_for("Reloaded shop")
    assert client.get(emulator.url).text == "version 1 hello"


def test_a_broken_configuration_changes_nothing(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write_worker(tmp_path, VERSION.format(version=1))
    emulator = dev(tmp_path)
    (tmp_path / "wrangler.jsonc").write_text('{"name": "shop", "main": ')
    emulator.wait_for(r"wrangler\.jsonc:1:")
    assert client.get(emulator.url).text == "version 1 "


def test_a_configuration_that_becomes_json5_is_used_and_warned_of_once(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    write_worker(tmp_path, VERSION.format(version=1), vars={"GREETING": "hello"})
    emulator = dev(tmp_path)
    text = "{name: 'shop', main: 'src/entry.py', compatibility_date: '2026-11-01', vars: {GREETING: '%s'}}"
    for greeting in ("hi", "good day"):
        (tmp_path / "wrangler.jsonc").write_text(text % greeting)
        emulator.wait_for("Reloaded shop")
        assert client.get(emulator.url).text == f"version 1 {greeting}"
    assert emulator.end() == 0
    assert emulator.output.count("wrangler.jsonc:1:2: wrangler would refuse this file: ") == 1


def test_a_changed_port_says_that_it_needs_a_restart(tmp_path: Path, dev: Dev) -> None:
    write_worker(tmp_path, VERSION.format(version=1))
    emulator = dev(tmp_path)
    write_worker(tmp_path, VERSION.format(version=1), dev={"port": 9999})
    emulator.wait_for("next start")


def test_no_reload_means_none(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write_worker(tmp_path, VERSION.format(version=1))
    emulator = dev(tmp_path, "--no-reload")
    write_worker(tmp_path, VERSION.format(version=2))
    assert client.get(emulator.url).text == "version 1 "


@pytest.mark.parametrize(
    "code", ["raise SystemExit(3)", "import no_such_module", "x = 1", "def fetch(a, b, c, d): ..."]
)
def test_a_worker_that_does_not_load_at_the_start_is_shown_and_mended_by_a_save(
    tmp_path: Path, dev: Dev, client: httpx.Client, code: str
) -> None:
    write_worker(tmp_path, code)
    emulator = dev(tmp_path)
    assert client.get(emulator.url).status_code == 500
    write_worker(tmp_path, VERSION.format(version=1))
    emulator.wait_for("Reloaded shop")
    assert client.get(emulator.url).text == "version 1 "


def test_the_directory_that_messages_are_kept_in_is_not_watched(tmp_path: Path) -> None:
    write_worker(tmp_path, "")
    for name in ("state", "kept"):
        (tmp_path / "src" / name).mkdir()
    configs = [load_config(tmp_path / "wrangler.jsonc")]
    watched = Watcher(lambda: configs, [tmp_path / "src/state"])._seen.directories
    assert tmp_path / "src/kept" in watched
    assert tmp_path / "src/state" not in watched


def test_what_the_emulator_prints_to_a_file_beside_the_code_reloads_nothing(
    tmp_path: Path, client: httpx.Client
) -> None:
    entry = write_worker(tmp_path, VERSION.format(version=1))
    log = entry.parent / "log.txt"

    def printed(pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (found := re.search(pattern, log.read_text())) is None:
            assert time.monotonic() < deadline, log.read_text()
        return found

    command = [sys.executable, "-m", "emulator", "dev", "-p", "0"]
    with log.open("w") as output, subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output) as process:
        try:
            url = printed(r"Ready on (http://\S+)").group(1)
            for version in (2, 3):
                write_worker(tmp_path, VERSION.format(version=version))
                printed(rf"(Reloaded[^R]*){{{version - 1}}}")
                assert client.get(url).text == f"version {version} "
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0
    assert len(re.findall(r"Reloaded.*entry.py", log.read_text())) == 2
    assert "log.txt" not in log.read_text()
