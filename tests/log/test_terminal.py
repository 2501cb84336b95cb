"""Which events the terminal shows, and when it writes them."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import subprocess
import sys
import termios

import pytest

from emulator.base.bus import Bus, Notice
from emulator.base.errors import Problem
from emulator.hosts.events import HandlerFailed, WorkerOutput
from emulator.log.terminal import Terminal
from emulator.queues.events import MessagesDeadLettered, MessagesSent
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import WorkerReloaded
from tests.log.showing import FAILURE, FakeHost, config, message, show


def test_debug_adds_sent_messages_and_whole_tracebacks() -> None:
    sent = MessagesSent("q", [message(1)], "sign-up")
    assert show(sent) == ""
    assert show(sent, level="debug") == "SENT 1 message to q by sign-up (10000000)\n"
    assert "  | Traceback (most recent call last):" in show(HandlerFailed("w", "GET /", FAILURE), level="debug")


def test_a_worker_that_does_not_load_at_the_start_says_why() -> None:
    text = show(ServerReady("http://127.0.0.1:1"), hosts=[FakeHost(config(), set(), FAILURE)])
    assert "sign-up  /app/src/entry.py  failed to load\n" in text
    assert "Error: sign-up failed to load; its messages are held until it does: ConnectionError: refused\n" in text


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


def test_the_address_for_other_machines_follows_that_of_the_server() -> None:
    ready = ServerReady("http://0.0.0.0:8787", "5f0c", "http://192.0.2.7:8787")
    text = show(ready, hosts=[FakeHost(config(), {"fetch"})])
    lines = "Ready on http://0.0.0.0:8787\nFrom other machines: http://192.0.2.7:8787\nREST API token: 5f0c\n"
    assert lines in text


def test_nothing_is_shown_at_the_level_none() -> None:
    failed = WorkerReloaded("shop", ("src/entry.py",), 0.1, FAILURE)
    for event in (ServerReady("http://127.0.0.1:1"), Notice("error", "gone"), failed):
        assert show(event, hosts=[FakeHost(config(), set(), FAILURE)], level="none") == ""


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


def test_a_flush_in_the_middle_of_another_writes_every_line_once() -> None:
    async def main() -> str:
        bus, stream = Bus(), io.StringIO()
        terminal = Terminal(bus, stream=stream)

        class Path(str):
            """One that is reported about while its line is made, as the watchdog may do it."""

            def isprintable(self) -> bool:
                bus.publish(Notice("warning", "blocked"))
                return True

        for path in ("/1", Path("/2"), "/3"):
            bus.publish(RequestFinished("w", "GET", path, 200, 0.0))
        terminal.flush()
        bus.publish(RequestFinished("w", "GET", "/4", 200, 0.0))
        terminal.close()
        return stream.getvalue()

    written = sorted(line.split(" 200")[0] for line in asyncio.run(main()).splitlines())
    assert written == ["GET /1", "GET /2", "GET /3", "GET /4", "Warning: blocked"]


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


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_clock_is_before_every_entry_but_not_in_the_start_block() -> None:
    text = show(
        ServerReady("http://127.0.0.1:1"),
        RequestFinished("w", "GET", "/", 200, 0.0),
        HandlerFailed("w", "GET /", FAILURE),
        hosts=[FakeHost(config(), {"fetch"})],
        log_time=True,
    )
    block, _, log = text.partition(
        "\n\nReady on http://127.0.0.1:1\nDashboard: http://127.0.0.1:1/cdn-cgi/emulator/\n\n"
    )
    assert block == "sign-up  /app/src/entry.py  fetch"
    lines = log.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d GET / 200 OK \(0 ms\)", lines[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d Error in GET /: .*", lines[1])
    assert all(line.startswith("  ") for line in lines[2:])


@pytest.mark.parametrize(
    ("stream", "log_time", "has_clock"),
    [(Screen, None, True), (io.StringIO, None, False), (Screen, False, False), (io.StringIO, True, True)],
)
def test_the_clock_is_shown_on_a_terminal_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], log_time: bool | None, has_clock: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    bus, out = Bus(), stream()
    terminal = Terminal(bus, stream=out, log_time=log_time)
    bus.publish(Notice("info", "hello"))
    terminal.close()
    assert bool(re.match(r"\d\d:\d\d:\d\d hello\n", out.getvalue())) == has_clock


def test_lines_are_as_wide_as_the_terminal_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen, other_end = pty.openpty()
    with os.fdopen(other_end, "w") as stream, os.fdopen(screen, "rb", buffering=0) as reader:
        bus = Bus()
        terminal = Terminal(bus, stream=stream, log_time=None)
        for width in (60, 100):
            termios.tcsetwinsize(other_end, (24, width))
            bus.publish(RequestFinished("w", "GET", "/" + "x" * 500, 200, 0.0))
            line = b""
            while not line.endswith(b"\n"):
                line += reader.read(1_000)
            assert len(line.rstrip()) == width
        terminal.close()
