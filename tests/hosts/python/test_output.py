from __future__ import annotations

import asyncio
import io
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from emulator.base.bus import Bus
from emulator.hosts.events import WorkerOutput
from emulator.hosts.python.output import MAX_LINE, flush_partial_lines, install, partial_lines
from emulator.hosts.triggers import FetchTrigger
from emulator_runtime.invocation import Invocation, Scope, current
from emulator_runtime.js import console
from emulator_runtime.workers.request import Request


class Output:
    """Installed output over streams in memory, and what it published."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.events: list[WorkerOutput] = []
        self.bus.subscribe(WorkerOutput, self.events.append)
        self.stdout, self.stderr = io.StringIO(), io.StringIO()

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(event.level, event.text) for event in self.events]


@contextmanager
def installed() -> Iterator[Output]:
    """Within the test itself: what pytest captures with is set up anew for each phase of a test."""
    output = Output()
    root = logging.getLogger()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", output.stdout)
        patch.setattr(sys, "stderr", output.stderr)
        patch.setattr(root, "handlers", [])
        root.setLevel(logging.WARNING)
        restore = install(output.bus)
        try:
            yield output
        finally:
            restore()
            root.setLevel(logging.WARNING)
        assert not partial_lines
        assert (sys.stdout, sys.stderr) == (output.stdout, output.stderr)


@contextmanager
def running(trigger: Any = None) -> Iterator[Invocation]:
    invocation = Invocation(Scope("sign-up", None, _no_way_out), trigger)
    token = current.set(invocation)
    try:
        yield invocation
    finally:
        current.reset(token)


async def _no_way_out(_request: Any) -> Any:
    raise AssertionError


def test_what_a_handler_prints_is_published_with_its_worker_and_trigger() -> None:
    with installed() as output:
        with running(FetchTrigger(Request("http://localhost:8787/signup?x=1"))):
            print("a", 1)
            print("b\nc", file=sys.stderr)
        assert output.events == [
            WorkerOutput("sign-up", "GET /signup?x=1", "info", "a 1"),
            WorkerOutput("sign-up", "GET /signup?x=1", "warning", "b"),
            WorkerOutput("sign-up", "GET /signup?x=1", "warning", "c"),
        ]
        assert output.stdout.getvalue() == output.stderr.getvalue() == ""


def test_what_nobodys_code_prints_goes_through() -> None:
    with installed() as output:
        print("hello")
        logging.getLogger("anyone").warning("careful")
        assert output.stdout.getvalue() == "hello\n"
        assert not output.events


def test_a_line_is_published_when_it_ends() -> None:
    with installed() as output:
        with running() as invocation:
            print("half", end="")
            print("e", end="", file=sys.stderr)
            assert not output.events
            print(" whole\nrest", end="")
            assert output.lines == [("info", "half whole")]
            flush_partial_lines(invocation)
        assert output.lines == [("info", "half whole"), ("warning", "e"), ("info", "rest")]


def test_flush_publishes_what_there_is() -> None:
    with installed() as output:
        with running():
            print("working", end="", flush=True)
            assert output.lines == [("info", "working")]
            print("x" * (MAX_LINE + 1), end="")
        assert output.lines[1] == ("info", "x" * (MAX_LINE + 1))


def test_lines_of_two_invocations_do_not_mix() -> None:
    with installed() as output:
        with running() as one:
            print("one ", end="")
        with running() as two:
            print("two")
            flush_partial_lines(two)
        flush_partial_lines(one)
        assert output.lines == [("info", "two"), ("info", "one ")]


def test_a_subscriber_that_prints_does_not_come_back_here() -> None:
    with installed() as output:
        output.bus.subscribe(WorkerOutput, lambda event: print(f"shown: {event.text}"))
        with running():
            print("x")
        assert output.stdout.getvalue() == "shown: x\n"
        assert len(output.events) == 1


def test_module_names_are_shown_as_the_user_wrote_them() -> None:
    with installed() as output:
        with running():
            print("<entry@sign-up#3.Foo object> me@example.com #1")
            logging.getLogger("app.entry@sign-up#3").error("bad")
        assert output.events[0].text == "<entry.Foo object> me@example.com #1"
        assert output.events[1].logger == "app.entry"


def test_logging_without_configuration_shows_warnings_as_python_does() -> None:
    with installed() as output:
        with running():
            logging.getLogger("app").info("invisible")
            logging.getLogger("app").warning("careful %d", 1)
            logging.getLogger().error("bad")
        assert [(event.level, event.logger, event.text) for event in output.events] == [
            ("warning", "app", "careful 1"),
            ("error", "", "bad"),
        ]


def test_logging_configured_by_the_worker_keeps_its_format_and_the_level_of_each_record() -> None:
    with installed() as output:
        with running():
            logging.basicConfig(level=logging.DEBUG, format="%(levelname)s|%(message)s")
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL):
                logging.getLogger("app").log(level, "x")
            print("printed", file=sys.stderr)
        assert output.lines == [
            ("debug", "DEBUG|x"),
            ("info", "INFO|x"),
            ("warning", "WARNING|x"),
            ("error", "CRITICAL|x"),
            ("warning", "printed"),
        ]


def test_the_stream_is_otherwise_the_real_one() -> None:
    with installed() as output:
        assert sys.stdout.isatty() is False
        assert sys.stdout.encoding == output.stdout.encoding
        with running():
            with pytest.raises(io.UnsupportedOperation):
                sys.stdout.fileno()
            sys.stdout.writelines(["a\n", "b\n"])
            with pytest.raises(TypeError):
                sys.stdout.write(b"x")  # type: ignore[arg-type]
            sys.stdout.close()
            print("still here")
        assert [event.text for event in output.events] == ["a", "b", "still here"]


async def test_lines_of_another_thread_are_published_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus()
    arrived: asyncio.Future[tuple[str, bool]] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()
    bus.subscribe(WorkerOutput, lambda event: arrived.set_result((event.text, asyncio.get_running_loop() is loop)))
    restore = install(bus)
    try:
        with running():
            await asyncio.to_thread(print, "from a thread")
            assert await arrived == ("from a thread", True)
    finally:
        restore()


DEBUGGED = """
    import asyncio, sys
    from pathlib import Path
    from emulator.config.model import WorkerConfig
    from emulator.base.bus import Bus
    from emulator.hosts.events import WorkerOutput
    from emulator.hosts.triggers import FetchTrigger
    from emulator.hosts.python.output import install
    from emulator.hosts.python.host import PythonHost
    from emulator_runtime.workers.request import Request

    root = Path(sys.argv[1])
    bus = Bus()
    real = sys.stdout
    bus.subscribe(WorkerOutput, lambda event: real.write(f"[{event.trigger}] {event.text}\\n"))

    async def main():
        restore = install(bus)
        host = PythonHost(
            WorkerConfig("w", root / "wrangler.jsonc", root / "entry.py"),
            make_env=lambda c: None, outbound=None, bus=bus,
        )
        await host.start()
        response = await host.invoke("", FetchTrigger(Request("http://localhost/x")))
        real.write(f"answer: {await response.text()}\\n")
        await host.stop(1)
        restore()

    asyncio.run(main())
"""


def test_console_error_is_an_error_and_a_warning_is_not() -> None:
    with installed() as output, running():
        console.error("bad", 1)
        console.warn("doubtful")
    assert output.lines == [("error", "bad 1"), ("warning", "doubtful")]


BREAKPOINT = """
    from workers import Response
    async def on_fetch(request):
        secret = 41
        breakpoint()
        print("after")
        return Response(str(secret + 1))
"""


@pytest.fixture
def debugged(tmp_path: Path) -> list[str]:
    (tmp_path / "entry.py").write_text(dedent(BREAKPOINT))
    (tmp_path / "run.py").write_text(dedent(DEBUGGED))
    return [sys.executable, str(tmp_path / "run.py"), str(tmp_path)]


COMMANDS = "p secret\nprint('typed', secret)\nsecret = 9\nc\n"


def check_session(shown: str) -> None:
    # From Python 3.13 on the prompt is at the call of breakpoint(), before that at the line behind it.
    assert "entry.py(5)on_fetch()\n-> breakpoint()" in shown or 'entry.py(6)on_fetch()\n-> print("after")' in shown
    assert "\n41\n" in shown.replace("(Pdb) ", "")
    assert "typed 41" in shown
    assert "[GET /x] typed" not in shown
    assert "[GET /x] after" in shown
    assert "answer: 10" in shown


def test_a_debugger_can_be_used_over_redirected_streams(debugged: list[str]) -> None:
    done = subprocess.run(debugged, input=COMMANDS, capture_output=True, text=True, timeout=30, check=True)
    check_session(done.stdout)


def test_a_debugger_can_be_used_on_a_terminal(debugged: list[str]) -> None:
    terminal, other_end = pty.openpty()
    with subprocess.Popen(debugged, stdin=other_end, stdout=other_end, stderr=other_end) as process:
        os.close(other_end)
        os.write(terminal, COMMANDS.encode())
        shown = b""
        while True:
            try:
                chunk = os.read(terminal, 4096)
            except OSError:  # what Linux says when the other end has been closed
                break
            if not chunk:
                break
            shown += chunk
    os.close(terminal)
    assert process.returncode == 0
    check_session(shown.decode().replace("\r\n", "\n"))
