"""Keys and prompts on a real terminal."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import DEADLINE_SECONDS, Running, write_worker
from tests.integration.on_terminal import OnTerminal

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.url.endswith("/send"):
                await self.env.EVENTS.send("hello")
            if request.url.endswith("/break"):
                secret = 41
                try:
                    breakpoint()
                    secret += 1
                except Exception:
                    return Response("q was caught")
                return Response(str(secret))
            if request.url.endswith("/ask"):
                return Response(input("Your name? "))
            return Response("ok")

        async def queue(self, batch, env, ctx):
            breakpoint()
            print("handled", batch.messages[0].attempts)

        async def scheduled(self, controller, env, ctx):
            print("tick", controller.cron)
            if controller.cron == "0 3 * * *":
                breakpoint()
                print("not reached")
"""
QUEUES = {
    "producers": [{"binding": "EVENTS", "queue": "events"}],
    "consumers": [{"queue": "events", "max_batch_timeout": 0, "dead_letter_queue": "events-dlq"}],
}


@pytest.fixture
def on_terminal(tmp_path: Path, runtime: Path) -> Iterator[Callable[..., OnTerminal]]:
    started: list[OnTerminal] = []

    def start(*arguments: str, crons: tuple[str, ...] = ("*/5 * * * *", "0 3 * * *"), **options: Any) -> OnTerminal:
        write_worker(tmp_path, WORKER, queues=QUEUES, triggers={"crons": list(crons)})
        started.append(OnTerminal(*arguments, cwd=tmp_path, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


class Asking:
    """A request that is under way."""

    def __init__(self, url: str) -> None:
        self._answers: list[httpx.Response] = []
        self._thread = threading.Thread(target=lambda: self._answers.append(httpx.get(url, timeout=DEADLINE_SECONDS)))
        self._thread.start()

    def answer(self) -> str:
        self._thread.join(DEADLINE_SECONDS)
        return self._answers[0].text


def test_keys_are_listed_below_the_address_and_each_does_what_the_help_says(
    on_terminal: Callable[..., OnTerminal],
) -> None:
    dev = on_terminal()
    url = dev.ready()
    dev.wait_for(r"\nKeys: o open  d dashboard  r reload  s scheduled  q queues  c clear  h help  x quit\n")
    dev.obeys_keys()
    dev.type("h")
    dev.wait_for(r"  r  read the configurations and the code again\n")
    dev.type("q")
    dev.wait_for(r"QUEUE +WAITING +IN FLIGHT +DEAD +OLDEST\nevents +- +- +-\nevents-dlq +- +- +-\n")
    dev.type("r")
    dev.wait_for(r"Reloaded shop in \d+ ms\n")
    dev.type("s")
    dev.wait_for(r"  1  \*/5 \* \* \* \*\n  2  0 3 \* \* \*\n")
    dev.type("z")
    dev.wait_for(r"Nothing is run\.")
    dev.type("s1")
    dev.wait_for(r"tick \*/5")
    dev.wait_for(r"SCHEDULED \*/5 \* \* \* \* ok")
    dev.type("o")
    dev.wait_for(rf"There is no browser that this terminal can open; the address is {url}\n")
    dev.type("d")
    dev.wait_for(rf"the address is {url}/cdn-cgi/emulator/\n")
    dev.type("\x1b[A\n")
    dev.type("x")
    dev.wait_for("Stopping")
    assert dev.wait() == 0
    assert dev.mode() == dev.normal_mode


def test_a_single_cron_runs_at_once(on_terminal: Callable[..., OnTerminal]) -> None:
    dev = on_terminal(crons=("1 2 * * *",))
    dev.ready()
    dev.obeys_keys()
    dev.type("s")
    dev.wait_for(r"SCHEDULED 1 2 \* \* \* ok")


def test_r_reads_the_configuration_again_even_without_a_watch(
    on_terminal: Callable[..., OnTerminal], tmp_path: Path
) -> None:
    dev = on_terminal("--no-reload")
    dev.ready()
    dev.obeys_keys()
    write_worker(tmp_path, WORKER, queues=QUEUES, vars={"NEW": "1"})
    dev.type("r")
    dev.wait_for(r"Configuration wrangler.jsonc:")
    dev.wait_for(r"Reloaded shop in")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_the_terminal_is_as_it_was_after_a_signal(on_terminal: Callable[..., OnTerminal], number: int) -> None:
    dev = on_terminal()
    dev.ready()
    dev.obeys_keys()
    dev.process.send_signal(number)
    assert dev.wait() == 0
    assert dev.mode() == dev.normal_mode


CRASH = """
import asyncio
import signal
import emulator.server.serving as serving
from emulator.cli import main
from emulator.server.events import ServerReady

async def serve(session, options, beside=None):
    session.bus.publish(ServerReady("http://127.0.0.1:1"))
    crashing = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, crashing.set)
    await crashing.wait()
    raise RuntimeError("crash")

serving.serve = serve
main()
"""


def test_the_terminal_is_as_it_was_after_a_crash(on_terminal: Callable[..., OnTerminal], tmp_path: Path) -> None:
    script = tmp_path / "crash.py"
    script.write_text(CRASH)
    dev = on_terminal("dev", command=(str(script),))
    dev.ready()
    dev.obeys_keys()
    dev.process.send_signal(signal.SIGUSR1)
    assert dev.wait() == 1
    assert "RuntimeError: crash" in dev.shown
    assert dev.mode() == dev.normal_mode


def test_ctrl_c_interrupts_a_prompt_and_stops_the_emulator_afterwards(on_terminal: Callable[..., OnTerminal]) -> None:
    dev = on_terminal()
    url = dev.ready()
    dev.obeys_keys()
    asking = Asking(f"{url}/break")
    dev.wait_for(r"\(Pdb\) ")
    dev.type("p secr\x03")
    dev.wait_for(r"--KeyboardInterrupt--\n\(Pdb\) ")
    dev.type("p secret, 'xqh'\n")  # none of which is a key now
    dev.wait_for(r"\(41, 'xqh'\)\n\(Pdb\) ")
    dev.type("""!exec("print('sp' + 'ins')\\nwhile True: pass")\n""")
    dev.wait_for(r"spins\n")
    dev.type("\x03")
    dev.wait_for(r"KeyboardInterrupt\n\(Pdb\) ")
    dev.type("n\n")
    dev.wait_for(r"\(Pdb\) ")
    assert dev.mode()[3] != 0
    dev.type("c\n")
    assert asking.answer() == "42"
    dev.obeys_keys()
    dev.type("q")
    dev.wait_for(r"QUEUE +WAITING")
    dev.type("\x03")
    dev.wait_for("Stopping")
    assert dev.wait() == 0
    assert dev.mode() == dev.normal_mode
    assert "Traceback" not in dev.shown


def test_input_in_a_handler_reads_a_line_and_not_keys(on_terminal: Callable[..., OnTerminal]) -> None:
    dev = on_terminal()
    url = dev.ready()
    dev.obeys_keys()
    asking = Asking(f"{url}/ask")
    dev.wait_for(r"Your name\? ")
    dev.type("xaver\n")
    assert asking.answer() == "xaver"
    dev.obeys_keys()


def told(dev: OnTerminal, start: int) -> list[str]:
    """The lines of the log since then, without the clock."""
    return [line[9:] for line in dev.shown[start:].splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]


def test_q_ends_a_fetch_handler_once_whatever_it_catches(on_terminal: Callable[..., OnTerminal]) -> None:
    dev = on_terminal()
    url = dev.ready()
    asking = Asking(f"{url}/break")
    dev.wait_for(r"\(Pdb\) ")
    start = len(dev.shown)
    dev.type("q\n")
    assert "you ended this handler at the debugger's prompt" in asking.answer()
    dev.wait_for(r"GET /break 500")
    dev.obeys_keys()
    assert told(dev, start)[0] == "Error in GET /break: you ended this handler at the debugger's prompt"
    assert len(told(dev, start)) == 2
    assert "bdb" not in dev.shown[start:]


def test_q_ends_a_queue_handler_and_its_messages_do_not_stop_again(on_terminal: Callable[..., OnTerminal]) -> None:
    dev = on_terminal()
    url = dev.ready()
    httpx.get(f"{url}/send")
    dev.wait_for(r"\(Pdb\) ")
    start = len(dev.shown)
    dev.type("q\n")
    dev.wait_for(r"QUEUE events 1/1 acked")
    lines = [line for line in told(dev, start) if not line.startswith("GET ")]
    assert "its messages pass breakpoints when they are delivered again" in lines[0]
    assert re.fullmatch(r"QUEUE events 0/1 acked, 1 retried \(attempt 2 of 4\) \(\d+ ms\)", lines[1])
    assert lines[2] == "[shop QUEUE events] handled 2"
    assert "(Pdb)" not in dev.shown[start:]
    httpx.get(f"{url}/send")
    dev.wait_for(r"\(Pdb\) ")  # as another message does
    dev.type("q\n")


def test_q_ends_a_scheduled_handler_once(on_terminal: Callable[..., OnTerminal]) -> None:
    dev = on_terminal(crons=("0 3 * * *",))
    dev.ready()
    dev.obeys_keys()
    dev.type("s")
    dev.wait_for(r"\(Pdb\) ")
    start = len(dev.shown)
    dev.type("q\n")
    dev.wait_for(r"SCHEDULED 0 3 \* \* \* exception")
    assert [line.partition(" (")[0] for line in told(dev, start)] == [
        "Error in SCHEDULED 0 3 * * *: you ended this handler at the debugger's prompt",
        "SCHEDULED 0 3 * * * exception",
    ]


def test_kill_ends_an_emulator_that_waits_at_a_prompt(on_terminal: Callable[..., OnTerminal]) -> None:
    dev = on_terminal()
    Asking(f"{dev.ready()}/break")
    dev.wait_for(r"\(Pdb\) ")
    dev.process.terminate()
    dev.wait_for("Stopping")
    assert dev.wait() == 0
    assert dev.mode() == dev.normal_mode


def test_the_json_log_has_no_keys(on_terminal: Callable[..., OnTerminal]) -> None:
    dev = on_terminal("--log-format", "json")
    dev.wait_for(r'"event":"ready"')
    dev.type("\x03")
    assert dev.wait() == 0
    assert "Keys:" not in dev.shown
    assert dev.mode() == dev.normal_mode


def test_without_a_terminal_there_are_no_keys_and_no_clock(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path, WORKER, queues=QUEUES)
    running = dev(tmp_path)
    assert running.end() == 0
    assert "Keys:" not in running.output
    assert not re.search(r"\d\d:\d\d:\d\d", running.output)
