"""The terminal log: what each event looks like, which are shown, and when they are written."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from emulator.base.bus import Bus, Notice
from emulator.base.errors import Problem
from emulator.base.failure import Failure, Frame
from emulator.bindings.queue.config import Consumer, Producer
from emulator.bindings.service.kind import ServiceBinding
from emulator.config.model import WorkerConfig
from emulator.hosts.events import HandlerFailed, ScheduledFinished, WorkerOutput
from emulator.log.style import wants_color
from emulator.log.terminal import Terminal
from emulator.queues.events import BatchDelivered, MessagesDeadLettered, MessagesDropped, MessagesSent
from emulator.queues.message import Attempt, DeadLetter, DeliveryResult, Lease, Message, Settlement
from emulator.queues.settings import ConsumerSettings
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded
from tests.support.configs import make_config

FAILURE = Failure(
    "ConnectionError",
    "refused",
    (
        Frame("/app/src/entry.py", 31, "queue", "await send(event)", is_user=True),
        Frame("/app/src/mail.py", 6, "send", "client.post(event)", is_user=True),
        Frame("/lib/httpx/_client.py", 118, "post", "raise error", is_user=False),
    ),
    "Traceback (most recent call last):\n  ...\nOSError: no route\n\n"
    "The above exception was the direct cause of the following exception:\n\n"
    "Traceback (most recent call last):\n  ...\nConnectionError: refused",
)


class FakeHost:
    def __init__(self, config: WorkerConfig, handlers: set[str], failure: Failure | None = None) -> None:
        self.config = config
        self.handlers = frozenset(handlers)
        self.failure = failure


def message(number: int = 1, **fields: Any) -> Message:
    return Message(f"{number:032x}"[::-1], b"{}", "json", 0.0, 0.0, 0.0, **fields)


def batch(settlement: Settlement, size: int, result: DeliveryResult | None = None, seconds: float = 0.012) -> Any:
    lease = Lease(1, [message(number) for number in range(size)], ConsumerSettings(), 0.0, 900.0)
    return BatchDelivered("my-app-events", "sign-up", lease, result or DeliveryResult(), settlement, seconds)


def config(name: str = "sign-up", main: Path = Path("/app/src/entry.py"), **fields: Any) -> WorkerConfig:
    return make_config(name, Path("/app/wrangler.jsonc"), main, **fields)


def show(*published: object, hosts: Any = (), **options: Any) -> str:
    """What a terminal writes for these events."""
    bus, stream = Bus(), io.StringIO()
    terminal = Terminal(bus, stream=stream, **options)
    if hosts:
        terminal.introduce([host.config for host in hosts], hosts)
    for event in published:
        bus.publish(event)
    terminal.close()
    return stream.getvalue()


def records(*published: object, **options: Any) -> list[dict[str, Any]]:
    text = show(*published, log_format="json", **options)
    return [json.loads(line) for line in text.splitlines()]


def test_request_line() -> None:
    assert show(RequestFinished("w", "GET", "/signup", 200, 0.0031)) == "GET /signup 200 OK (3 ms)\n"


@pytest.mark.parametrize(
    ("status", "seconds", "text"),
    [
        (404, 0.0, "404 Not Found (0 ms)"),
        (499, 0.5, "499 Client went away (500 ms)"),
        (599, 0.002, "599 (2 ms)"),
        (200, 12.34, "200 OK (12.3 s)"),
    ],
)
def test_request_line_of_other_answers(status: int, seconds: float, text: str) -> None:
    assert show(RequestFinished("w", "PUT", "/", status, seconds)) == f"PUT / {text}\n"


def test_control_characters_in_a_path_are_escaped() -> None:
    line = show(RequestFinished("w", "GET", "/a\x1b[31m\nb\u202e", 200, 0.0))
    assert line == "GET /a\\x1b[31m\\nb\\u202e 200 OK (0 ms)\n"


def test_a_long_path_keeps_its_beginning_and_its_end() -> None:
    line = show(RequestFinished("w", "GET", "/begin" + "x" * 5_000 + "end", 200, 0.0))
    assert len(line) < 200
    assert line.startswith("GET /beginxxx")
    assert "...x" in line
    assert "xend 200 OK" in line


def test_batch_line() -> None:
    settlement = Settlement([message(n) for n in range(9)], retried=[(message(9), 0)])
    assert show(batch(settlement, 10)) == "QUEUE my-app-events 9/10 acked, 1 retried (12 ms)\n"


def test_batch_line_tells_delays_dead_letters_expiry_and_timeouts() -> None:
    settlement = Settlement(
        [],
        retried=[(message(1), 5), (message(2), 30)],
        dead=[message(3)],
        expired=[message(4)],
        dead_letter_queue="dlq",
    )
    line = show(batch(settlement, 4, DeliveryResult("exceeded_cpu"), 31.0))
    assert line == (
        "QUEUE my-app-events 0/4 acked, 2 retried in 5 to 30 s, 1 moved to dlq, 1 expired, out of CPU time (31.0 s)\n"
    )


def test_dead_letter_is_a_warning_with_the_last_error() -> None:
    letter = DeadLetter("q", 9.0, tuple(Attempt(n, 1.0, "exception", "ConnectionError: refused") for n in range(1, 5)))
    dead = [message(0x1C0A92F3, dead_letter=letter)]
    text = show(MessagesDeadLettered("q", "q-dlq", dead), level="warning")
    assert text == "Warning: q moved 1 message (3f29a0c1) to q-dlq after 4 attempts: ConnectionError: refused\n"


def test_dead_letters_that_share_a_reason_share_a_line() -> None:
    letter = DeadLetter("q", 9.0, (Attempt(1, 1.0, "retry"),))
    text = show(MessagesDeadLettered("q", "q-dlq", [message(n, dead_letter=letter) for n in range(100)]))
    assert text.count("\n") == 1
    assert "moved 100 messages (" in text
    assert ", 97 more) to q-dlq after 1 attempt: the handler called retry()" in text


def test_drops_say_why() -> None:
    failed = message(1, attempts=4, failures=(Attempt(4, 1.0, "exception", "ValueError: no"),))
    text = show(
        MessagesDropped("q", [failed], "retries"),
        MessagesDropped("q", [message(2)], "expired"),
        MessagesDropped("q", [message(3), message(4)], "purged"),
    ).splitlines()
    assert (
        text[0]
        == "Warning: q has no dead letter queue and dropped 1 message (10000000) after 4 attempts: ValueError: no"
    )
    assert text[1] == "Warning: q dropped 1 message (20000000): older than the queue's retention period"
    assert text[2] == "QUEUE q 2 messages purged"


def test_scheduled_line() -> None:
    assert show(ScheduledFinished("w", "*/5 * * * *", "ok", 0.003)) == "SCHEDULED */5 * * * * ok (3 ms)\n"


def test_output_carries_the_worker_and_what_it_belongs_to() -> None:
    text = show(
        WorkerOutput("sign-up", "QUEUE my-app-events", "info", "hello\n"),
        WorkerOutput("sign-up", "", "warning", "two\nlines", "app.mail"),
    )
    assert text == "[sign-up QUEUE my-app-events] hello\n[sign-up] WARNING app.mail: two\n  lines\n"


def test_failure_shows_the_users_frames_from_the_innermost_out() -> None:
    text = show(HandlerFailed("sign-up", "QUEUE q", FAILURE))
    assert text == (
        "Error in QUEUE q: ConnectionError: refused\n"
        "  /app/src/mail.py:6 in send\n"
        "    client.post(event)\n"
        "  /app/src/entry.py:31 in queue\n"
        "    await send(event)\n"
        "  raised in /lib/httpx/_client.py:118\n"
        "  because of OSError: no route\n"
    )


def test_the_same_failure_again_is_short() -> None:
    failed = HandlerFailed("sign-up", "QUEUE q", FAILURE)
    again = show(failed, failed).removeprefix(show(failed))
    assert again == "Error in QUEUE q: ConnectionError: refused\n  as above, at /app/src/mail.py:6\n"


def test_a_failure_that_says_all_there_is_to_say_is_shown_as_it_is() -> None:
    said = "Error: Unexpected\n\n    a.ts:1:2:\n      1 │ (;\n        ╵  ^"
    failure = Failure("BuildError", "Unexpected", FAILURE.frames, said, verbatim=True)
    assert show(WorkerReloaded("app", ["a.ts"], 0.0, failure)) == (
        "Error: app does not load, and what is for it waits:\n"
        "  Error: Unexpected\n\n      a.ts:1:2:\n        1 │ (;\n          ╵  ^\n"
    )


def test_debug_adds_sent_messages_and_whole_tracebacks() -> None:
    sent = MessagesSent("q", [message(1)], "sign-up")
    assert show(sent) == ""
    assert show(sent, level="debug") == "SENT 1 message to q by sign-up (10000000)\n"
    assert "  | Traceback (most recent call last):" in show(HandlerFailed("w", "GET /", FAILURE), level="debug")


def test_a_real_failure_is_named_by_its_path_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "entry.py").write_text("def fetch():\n    return 1 / 0\n")
    namespace: dict[str, Callable[[], None]] = {}
    exec(compile((tmp_path / "entry.py").read_text(), tmp_path / "entry.py", "exec"), namespace)
    with pytest.raises(ZeroDivisionError) as caught:
        namespace["fetch"]()
    failure = Failure.from_exception(caught.value, tmp_path)
    text = show(HandlerFailed("w", "GET /", failure))
    assert text.startswith(
        "Error in GET /: ZeroDivisionError: division by zero\n  entry.py:2 in fetch\n    return 1 / 0\n"
    )


def test_reload_lines() -> None:
    assert show(WorkerReloaded("sign-up", ["entry.py"], 0.021)) == "Reloaded sign-up in 21 ms (entry.py)\n"
    many = WorkerReloaded("sign-up", ["a.py", "b.py", "c.py", "d.py"], 0.021)
    assert show(many).endswith("(a.py, b.py, 2 more)\n")
    failed = show(WorkerReloaded("sign-up", ["entry.py"], 0.0, FAILURE))
    assert failed.startswith("Error: sign-up does not load, and what is for it waits: ConnectionError: refused\n")


def test_configuration_and_notices() -> None:
    text = show(
        ConfigurationChanged("wrangler.jsonc", ["queue a is new"]),
        ConfigurationChanged("wrangler.jsonc", ["queue a is new", "var B is gone"]),
        Notice("warning", "blocked for 1 s\nat entry.py:3", "sign-up"),
        Notice("error", "bad"),
        Notice("info", "Stopping"),
    )
    assert text == (
        "Configuration wrangler.jsonc: queue a is new\n"
        "Configuration wrangler.jsonc:\n  queue a is new\n  var B is gone\n"
        "Warning: sign-up: blocked for 1 s\n  at entry.py:3\n"
        "Error: bad\n"
        "Stopping\n"
    )


def test_start_shows_workers_bindings_queues_and_the_address() -> None:
    host = FakeHost(
        config(
            vars={"SENDER": "hello", "LIMIT": 3, "API_KEY": "hidden by the secret"},
            secrets={"API_KEY": "sesame"},
            producers=(Producer("EVENTS", "my-app-events", 60),),
            consumers=(Consumer("my-app-events", ConsumerSettings(dead_letter_queue="dlq", retry_delay=30)),),
            crons=("*/5 * * * *",),
        ),
        {"queue", "fetch"},
    )
    text = show(ServerReady("http://127.0.0.1:8787"), hosts=[host])
    assert text == (
        "sign-up  /app/src/entry.py  fetch, queue\n"
        "  env.EVENTS   queue my-app-events, delayed by 1 minute\n"
        '  env.SENDER   "hello"\n'
        "  env.LIMIT    3\n"
        "  env.API_KEY  (secret)\n"
        "  cron         */5 * * * *\n"
        "\n"
        "queue my-app-events  to sign-up: 10 messages or 5 s, 3 retries after 30 s, then to dlq\n"
        "queue dlq            no consumer: keeps messages for 4 days\n"
        "\n"
        "Ready on http://127.0.0.1:8787\n\n"
    )
    assert "sesame" not in text


def test_start_shows_services_and_what_is_not_emulated_before_plain_values() -> None:
    declared = config(
        main=Path("/app/src/index.js"),
        vars={"SENDER": "hello"},
        services=(ServiceBinding("AUTH", "auth"), ServiceBinding("ADMIN", "auth", "Admin")),
        not_emulated={"CACHE": "kv_namespaces"},
    )
    text = show(ServerReady("http://127.0.0.1:1"), hosts=[FakeHost(declared, {"fetch"})])
    assert text.startswith(
        "sign-up  /app/src/index.js  fetch\n"
        "  env.AUTH    worker auth\n"
        "  env.ADMIN   worker auth, Admin\n"
        "  env.CACHE   not emulated yet (kv_namespaces)\n"
        '  env.SENDER  "hello"\n'
    )


def test_start_says_that_a_python_worker_cannot_call_a_service() -> None:
    text = show(
        ServerReady("http://127.0.0.1:1"),
        hosts=[FakeHost(config(services=(ServiceBinding("AUTH", "auth"),)), {"fetch"})],
    )
    assert "  env.AUTH  worker auth (not emulated yet for Python workers)\n" in text


def test_json_ready_lists_the_bindings_of_every_kind() -> None:
    declared = config(
        vars={"A": 1, "TOKEN": "hidden"},
        secrets={"TOKEN": "sesame"},
        producers=(Producer("EVENTS", "q"),),
        consumers=(Consumer("q", ConsumerSettings(max_retries=1)),),
        services=(ServiceBinding("AUTH", "auth"),),
        not_emulated={"CACHE": "kv_namespaces"},
    )
    (ready,) = records(ServerReady("http://127.0.0.1:1"), hosts=[FakeHost(declared, {"fetch"})])
    (worker,) = ready["workers"]
    assert worker["bindings"] == [
        {"name": "EVENTS", "type": "queue"},
        {"name": "AUTH", "type": "service"},
        {"name": "CACHE", "type": "not_emulated", "key": "kv_namespaces"},
        {"name": "A", "type": "var"},
        {"name": "TOKEN", "type": "secret"},
    ]
    (consumer,) = worker["consumers"]
    assert consumer == {"queue": "q", **asdict(ConsumerSettings(max_retries=1))}


def test_several_workers_have_addresses_and_are_named_on_every_line() -> None:
    hosts = [FakeHost(config("web"), {"fetch"}), FakeHost(config("jobs"), {"queue"})]
    ready = ServerReady("http://127.0.0.1:9000")
    text = show(ready, RequestFinished("jobs", "GET", "/", 200, 0.0), hosts=hosts)
    assert "http://jobs.localhost:9000" in text
    assert "http://web.localhost" not in text
    assert text.endswith("GET / 200 OK (0 ms) jobs\n")


def test_a_worker_that_does_not_load_at_the_start_says_why() -> None:
    text = show(ServerReady("http://127.0.0.1:1"), hosts=[FakeHost(config(), set(), FAILURE)])
    assert "sign-up  /app/src/entry.py  does not load\n" in text
    assert "Error: sign-up does not load, and what is for it waits: ConnectionError: refused\n" in text


def test_doubts_about_a_configuration_are_warnings() -> None:
    doubtful = config(warnings=(Problem("wrangler.jsonc", 3, 5, "kv_namespaces", "is not emulated yet"),))
    assert show(hosts=[FakeHost(doubtful, set())]) == (
        "Warning: wrangler.jsonc:3:5: kv_namespaces: is not emulated yet\n"
    )


def test_the_token_that_the_rest_api_requires_is_printed_at_any_level() -> None:
    ready = ServerReady("http://0.0.0.0:8787", "5f0c")
    for level in ("info", "error"):
        text = show(ready, hosts=[FakeHost(config(), {"fetch"})], level=level)
        assert "Ready on http://0.0.0.0:8787\nREST API token: 5f0c\n" in text


def test_the_address_is_shown_at_every_level() -> None:
    text = show(ServerReady("http://127.0.0.1:1"), hosts=[FakeHost(config(), {"fetch"})], level="error")
    assert text == "Ready on http://127.0.0.1:1\n"


def test_what_would_not_be_shown_is_not_asked_for() -> None:
    bus = Bus()
    terminal = Terminal(bus, level="warning", stream=io.StringIO())
    assert not bus.wants(RequestFinished)
    assert not bus.wants(MessagesSent)
    assert bus.wants(MessagesDeadLettered)
    terminal.close()
    assert not bus.wants(MessagesDeadLettered)


def test_lines_are_collected_in_a_loop_and_an_error_is_written_at_once() -> None:
    async def conversation() -> None:
        bus, stream = Bus(), io.StringIO()
        terminal = Terminal(bus, stream=stream)
        bus.publish(RequestFinished("w", "GET", "/1", 200, 0.0))
        bus.publish(RequestFinished("w", "GET", "/2", 200, 0.0))
        assert stream.getvalue() == ""
        bus.publish(Notice("error", "now"))
        assert stream.getvalue().splitlines() == ["GET /1 200 OK (0 ms)", "GET /2 200 OK (0 ms)", "Error: now"]
        bus.publish(RequestFinished("w", "GET", "/3", 200, 0.0))
        terminal.close()
        assert stream.getvalue().endswith("GET /3 200 OK (0 ms)\n")

    asyncio.run(conversation())


def test_collected_lines_are_written_by_a_timer() -> None:
    written = asyncio.Event()

    class Stream(io.StringIO):
        def flush(self) -> None:
            written.set()

    async def conversation() -> None:
        bus, stream = Bus(), Stream()
        terminal = Terminal(bus, stream=stream)
        bus.publish(RequestFinished("w", "GET", "/1", 200, 0.0))
        await asyncio.wait_for(written.wait(), 5)
        assert stream.getvalue() == "GET /1 200 OK (0 ms)\n"
        terminal.close()

    asyncio.run(conversation())


def test_output_appears_while_worker_code_keeps_the_loop_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def conversation() -> None:
        now = 100.0
        monkeypatch.setattr("emulator.log.terminal.time.monotonic", lambda: now)
        bus, stream = Bus(), io.StringIO()
        terminal = Terminal(bus, stream=stream)
        bus.publish(WorkerOutput("w", "", "info", "one"))
        assert stream.getvalue() == ""
        now += 1
        bus.publish(WorkerOutput("w", "", "info", "two"))
        assert stream.getvalue() == "[w] one\n[w] two\n"
        terminal.close()

    asyncio.run(conversation())


def test_what_the_encoding_cannot_say_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    bus = Bus()
    terminal = Terminal(bus, stream=stream)
    bus.publish(WorkerOutput("w", "", "info", "caf\u00e9 \ud800"))
    terminal.close()
    assert raw.getvalue() == b"[w] caf\\xe9 \\ud800\n"
    stream.close()


@pytest.mark.parametrize("error", [BrokenPipeError, OSError])
def test_a_reader_that_went_away_does_not_disturb(error: type[OSError]) -> None:
    class Gone(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            raise error

    bus, stream = Bus(), Gone()
    terminal = Terminal(bus, stream=stream)
    bus.publish(Notice("info", "one"))
    bus.publish(Notice("info", "two"))
    terminal.close()
    assert stream.writes == 1


def test_a_closed_pipe_leaves_no_noise_at_exit() -> None:
    code = (
        "from emulator.base.bus import Bus, Notice; from emulator.log.terminal import Terminal\n"
        "bus = Bus(); terminal = Terminal(bus)\n"
        "input()\n"
        "bus.publish(Notice('info', 'x' * 100_000)); terminal.close()"
    )
    reader, writer = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    os.close(reader)
    _, complaints = child.communicate(b"\n", timeout=30)
    assert complaints == b""
    assert child.returncode == 0


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "wanted"),
    [
        (Tty(), {}, True),
        (io.StringIO(), {}, False),
        (Tty(), {"NO_COLOR": "1"}, False),
        (Tty(), {"NO_COLOR": ""}, True),
        (Tty(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (Tty(), {"FORCE_COLOR": "0"}, False),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_only_on_a_terminal_unless_told(stream: io.StringIO, environ: dict[str, str], wanted: bool) -> None:
    assert wants_color(stream, environ) is wanted


def test_colour_changes_nothing_but_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    published = [
        RequestFinished("w", "GET", "/", 500, 12.0),
        RequestFinished("w", "GET", "/", 200, 0.1),
        batch(Settlement([message(1)]), 1),
        HandlerFailed("w", "GET /", FAILURE),
    ]
    plain = show(*published)
    monkeypatch.setenv("FORCE_COLOR", "1")
    colored = show(*published)
    assert colored.count("\x1b[0m") > 4
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain


def test_json_lines_have_stable_keys() -> None:
    host = FakeHost(config(producers=(Producer("EVENTS", "q"),), consumers=(Consumer("q"),)), {"fetch", "queue"})
    letter = DeadLetter("q", 9.0, (Attempt(1, 1.0, "exception", "ValueError: no"),))
    lines = records(
        ServerReady("http://127.0.0.1:1"),
        RequestFinished("w", "GET", "/", 200, 0.0012345),
        batch(Settlement([message(1)]), 1),
        MessagesSent("q", [message(1)], "sign-up"),
        MessagesDeadLettered("q", "dlq", [message(1, dead_letter=letter)]),
        MessagesDropped("q", [message(1)], "expired"),
        ScheduledFinished("w", "* * * * *", "ok", 0.1),
        HandlerFailed("w", "GET /", FAILURE),
        WorkerReloaded("w", ["entry.py"], 0.1),
        ConfigurationChanged("wrangler.jsonc", ["a"]),
        WorkerOutput("w", "GET /", "info", "hello"),
        Notice("warning", "careful"),
        hosts=[host],
        level="debug",
    )
    keys = {line["event"]: " ".join(sorted(line.keys() - {"time", "level", "event"})) for line in lines}
    assert keys == {
        "ready": "api_token url workers",
        "request": "duration_ms method path status worker",
        "batch": "acked dead_lettered dropped duration_ms error expired outcome queue retried size worker",
        "sent": "messages queue source",
        "dead_lettered": "messages queue to",
        "dropped": "messages queue reason",
        "scheduled": "cron duration_ms outcome worker",
        "failure": "failure trigger worker",
        "reload": "duration_ms failure files worker",
        "configuration": "changes file",
        "output": "logger text trigger worker",
        "notice": "text worker",
    }
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["time"]) for line in lines)
    assert lines[0]["workers"][0]["consumers"][0]["max_batch_size"] == 10
    assert lines[1]["duration_ms"] == 1.234
    assert lines[4]["messages"][0]["error"] == "ValueError: no"
    documented = (Path(__file__).parents[2] / "docs" / "terminal.md").read_text()
    for event, names in keys.items():
        row = next(line for line in documented.splitlines() if line.startswith(f"| `{event}` |"))
        assert all(f"`{name}`" in row for name in names.split()), event


def test_json_says_what_utf8_cannot() -> None:
    assert records(WorkerOutput("w", "", "info", "\ud800"))[0]["text"] == "\ud800"
