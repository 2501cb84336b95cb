"""The keys that `emulator dev` obeys while it runs, if it has a terminal.

`KEYS` is the list of them. While they are on, the terminal hands over each key at once and does not show it; Ctrl-C and
Ctrl-Z work as always. A prompt in worker code has the terminal in its normal mode and for itself, until the debugger
lets the code run again. In the background the keys are off.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import termios
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from emulator.base.words import age, clean
from emulator.cli.tables import table_lines
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded, WorkerHost
from emulator.hosts.python import prompts
from emulator.hosts.triggers import ScheduledTrigger
from emulator.server.addresses import DASHBOARD
from emulator.server.events import ServerReady
from emulator.server.serving import reload_all
from emulator.session.running import reachable

if TYPE_CHECKING:
    from emulator.log.terminal import Terminal
    from emulator.queues.service import Queues
    from emulator.server.serving import ServingOptions
    from emulator.session.session import Session

_TERMINAL: Final = "/dev/tty"
_CHOICES: Final = "123456789abcdefghijklmnopqrstuvwxyz"
_CLEAR: Final = "\x1b[2J\x1b[3J\x1b[H"
_ESCAPES: Final = re.compile(r"\x1b(\[[0-9;?]*[@-~]|O.|.)?")
"""What arrow keys, function keys and Alt with a key send."""

_LOOK_SECONDS: Final = 0.2
"""How often to look whether a debugger has let the code run, or a shell has brought the process to the foreground."""

_QUEUE_HEAD: Final = ("QUEUE", "WAITING", "IN FLIGHT", "DEAD", "OLDEST")


class Shortcut(NamedTuple):
    """A key: its name in the line under Ready, what it does in the help, and the function that does it."""

    char: str
    name: str
    help: str
    act: Callable[[Keys], None]


class Keys:
    """The keys of a session, from `ServerReady` until they are closed. `terminal` shows what they say."""

    def __init__(self, session: Session, options: ServingOptions, terminal: Terminal) -> None:
        self._session = session
        self._options = options
        self._terminal = terminal
        self._url = ""
        self._token = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()
        self._tty = -1
        """The terminal, opened anew: the event loop makes what it reads from non-blocking, and standard input is shared
        with standard output, prompts and the shell."""
        self._normal: list[Any] | None = None
        """The terminal's normal mode, while the keys are on."""
        self._lent = 0
        self._choices: dict[str, tuple[WorkerHost, str]] = {}
        """The scheduled handlers that the next key chooses from."""
        self._acting: set[asyncio.Task[None]] = set()
        self._unsubscribe = session.bus.subscribe(ServerReady, self._ready)

    def close(self) -> None:
        """Give the terminal back. May be called more than once, and after the event loop has ended."""
        self._unsubscribe()
        if self._lend in prompts.lenders:
            prompts.lenders.remove(self._lend)
        self._off()
        self._loop = None
        if self._tty >= 0:
            os.close(self._tty)
            self._tty = -1

    def _ready(self, event: ServerReady) -> None:
        self._url = reachable(event.url)
        self._token = event.api_token
        try:
            self._tty = os.open(_TERMINAL, os.O_RDONLY | os.O_NOCTTY)
        except OSError:  # this session of processes has none
            return
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGCONT, self._on)
        prompts.lenders.append(self._lend)
        self._on()

    def _on(self) -> None:
        """Take the terminal, unless somebody else has it. After Ctrl-Z and `fg` it has been given back meanwhile."""
        loop = self._loop
        if loop is None or self._lent:
            return
        if prompts.is_stepping() or not self._is_foreground():
            self._off()
            loop.call_later(_LOOK_SECONDS, self._on)
            return
        with suppress(termios.error):
            mode = termios.tcgetattr(self._tty)
            if self._normal is None:
                self._normal = termios.tcgetattr(self._tty)
            mode[3] &= ~(termios.ICANON | termios.ECHO)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._tty, termios.TCSADRAIN, mode)
            loop.add_reader(self._tty, self._read)

    def _off(self) -> None:
        """Let the terminal be in its normal mode, and read nothing."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._tty)
        self._restore_mode()

    def _restore_mode(self) -> None:
        normal, self._normal = self._normal, None
        if normal is not None and self._is_foreground():
            with suppress(termios.error):
                termios.tcsetattr(self._tty, termios.TCSADRAIN, normal)

    def _is_foreground(self) -> bool:
        """Whether this process may use the terminal: changing its mode in the background stops a process."""
        try:
            return os.tcgetpgrp(self._tty) == os.getpgrp()
        except OSError:
            return False

    @contextmanager
    def _lend(self) -> Iterator[None]:
        """See `prompts.Lender`. On another thread than the event loop's, that may still read a key that is being
        pressed."""
        loop = self._loop
        if loop is None:
            yield
            return
        self._lent += 1
        if threading.get_ident() == self._thread:
            self._off()
        else:
            loop.call_soon_threadsafe(self._off)
            self._restore_mode()
        try:
            yield
        finally:
            self._lent -= 1
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._on)

    def _read(self) -> None:
        try:
            typed = os.read(self._tty, 1_024).decode(errors="ignore")
        except OSError:
            typed = ""
        if not typed:  # the terminal is gone
            self._off()
        for char in _ESCAPES.sub("", typed):
            self._press(char)

    def _press(self, char: str) -> None:
        choices, self._choices = self._choices, {}
        char = char.lower()
        if choices:
            if char in choices:
                self._begin(self._run(*choices[char]))
                return
            self._say("Nothing is run.")
        if char == "\n":  # people separate what comes next from what has been
            self._terminal.write("\n")
        for key in KEYS:
            if key.char == char:
                key.act(self)

    def _begin(self, acting: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(acting)
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)

    def _say(self, *lines: str) -> None:
        self._terminal.write("".join(f"{line}\n" for line in lines))

    def open(self) -> None:
        """Open the first worker in the browser."""
        self._begin(self._open(self._url))

    def open_dashboard(self) -> None:
        """Open the dashboard in the browser, with the token if it asks for one."""
        token = f"?token={self._token}" if self._token else ""
        self._begin(self._open(f"{self._url}{DASHBOARD}/{token}"))

    async def _open(self, url: str) -> None:
        if await asyncio.to_thread(_open_browser, url):
            self._say(f"Opening {url}")
        else:
            self._say(f"There is no browser that this terminal can open; the address is {url}")

    def reload(self) -> None:
        """Read the configurations and the code again."""
        self._begin(reload_all(self._session, self._options))

    def schedule(self) -> None:
        """Run a scheduled handler: at once if there is one cron, else the next key chooses."""
        hosts = [host for host in self._session.hosts if "scheduled" in host.handlers]
        there = [(host, cron) for host in hosts for cron in host.config.crons or ("",)]
        if not there:
            self._say("No worker has a scheduled handler.")
        elif len(there) == 1:
            self._begin(self._run(*there[0]))
        else:
            self._choices = dict(zip(_CHOICES, there, strict=False))
            several = len(hosts) > 1
            self._say(
                "Run which scheduled handler? Any other key runs none.",
                *(
                    f"  {char}  {clean(cron) or '(no cron)'}" + (f"  {clean(host.config.name)}" if several else "")
                    for char, (host, cron) in self._choices.items()
                ),
            )

    async def _run(self, host: WorkerHost, cron: str) -> None:
        try:
            await host.invoke("", ScheduledTrigger(cron, int(time.time() * 1000)))
        except HandlerError:
            pass  # it has been told
        except (NotLoaded, HandlerMissing) as error:
            self._say(str(error))

    def queues(self) -> None:
        """Print each queue on a line."""
        self._begin(self._queues())

    async def _queues(self) -> None:
        rows = await queue_rows(self._session.queues, self._session.clock.now())
        self._say(*(table_lines(_QUEUE_HEAD, rows, self._terminal.style) if rows else ["There are no queues."]))

    def clear(self) -> None:
        """Clear the screen."""
        self._terminal.write(_CLEAR)

    def show_help(self) -> None:
        """Explain the keys."""
        self._say(*(f"  {key.char}  {key.help}" for key in KEYS), "  Enter prints an empty line; Ctrl-C quits, too.")

    def quit(self) -> None:
        """Stop, as Ctrl-C does."""
        signal.raise_signal(signal.SIGINT)


KEYS: Final[Sequence[Shortcut]] = (
    Shortcut("o", "open", "open the address in the browser", Keys.open),
    Shortcut("d", "dashboard", "open the dashboard in the browser", Keys.open_dashboard),
    Shortcut("r", "reload", "read the configurations and the code again", Keys.reload),
    Shortcut("s", "scheduled", "run a scheduled handler now", Keys.schedule),
    Shortcut(
        "q", "queues", "show the queues: messages waiting, in flight, dead, and the age of the oldest", Keys.queues
    ),
    Shortcut("c", "clear", "clear the screen", Keys.clear),
    Shortcut("h", "help", "show this help", Keys.show_help),
    Shortcut("x", "quit", "quit; again: at once", Keys.quit),
)


def key_names() -> str:
    """All keys in one line."""
    return "Keys: " + "  ".join(f"{key.char} {key.name}" for key in KEYS)


async def queue_rows(queues: Queues, now: float) -> list[Sequence[str]]:
    """A row for each queue: its name, how many messages wait, are in flight and are dead, and the age of the oldest at
    `now`, in seconds since the epoch. Dead are those of this queue that wait in its dead letter queue."""
    waiting = {name: await queues.waiting(name) for name in queues.states}
    rows: list[Sequence[str]] = []
    for name, state in queues.states.items():
        backlog = await queues.backlog(name)
        letters = waiting.get((state.consumer and state.consumer.dead_letter_queue) or "", ())
        dead = sum(each.dead_letter is not None and each.dead_letter.queue == name for each in letters)
        in_flight = max(0, backlog.backlog_count - len(waiting[name]))
        oldest = backlog.oldest_message_timestamp
        numbers = (f"{number:,}" if number else "-" for number in (len(waiting[name]), in_flight, dead))
        rows.append((name, *numbers, "" if oldest is None else age(now - oldest)))
    return rows


def _open_browser(url: str) -> bool:
    """Open `url`, but not in a browser that would take this terminal, unless the user has chosen that."""
    import webbrowser  # only this key needs it

    try:
        browser = webbrowser.get()
        if type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER"):
            return False
        return browser.open(url)
    except webbrowser.Error:
        return False
