"""The programs that are compared, and how each is started and ended.

A side runs a copy of its worker in a directory of its own, so that a benchmark never writes into the repository. What
it logs goes to a file. Nothing is measured here but the time from the start of the process to its first answer, which
only the one who starts it can know.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from emulator.base.errors import EmulatorError
from emulator.hosts.workerd.tools import find_esbuild, find_workerd
from tests.support import node

EMULATOR: Final = "emulator"
EMULATOR_JAVASCRIPT: Final = "emulator-javascript"
UVICORN: Final = "uvicorn"
WORKERD: Final = "workerd"
WRANGLER: Final = "wrangler"
BEFORE: Final = "-before"
"""Ends the name of a side that is the emulator of another checkout."""

HERE: Final = Path(__file__).resolve().parent
START_TIMEOUT_SECONDS: Final = 60.0
STOP_TIMEOUT_SECONDS: Final = 15.0
_ALONE: Final = "only the emulator and uvicorn are measured"


class BenchError(Exception):
    """A measurement that could not be made. The text says why, for the person who reads the table."""


Command = Callable[[Path, int, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the programs. `command` makes its command line from the directory of the worker and two free ports.

    The second port is for a debugger. `source` is the file of the worker that holds its `VERSION`. `keeping` is the
    command line with which it keeps messages on disk; None where it has none. `lacks` are the measures that it cannot
    be held to. `variables` are set in its environment. `apart` has the worker for each measure that is made with
    another one.
    """

    name: str
    title: str
    worker: Path
    source: str
    command: Command
    keeping: Command | None = None
    lacks: Collection[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    apart: Mapping[str, Path] = field(default_factory=dict)

    def for_measure(self, name: str) -> Side:
        """The side with the worker for a measure."""
        return replace(self, worker=self.apart.get(name, self.worker))


@dataclass(frozen=True, slots=True)
class Server:
    """A side that runs and has answered. `start_seconds` is the time from the start of the process to that answer."""

    side: Side
    pid: int
    port: int
    directory: Path
    start_seconds: float

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def source(self) -> Path:
        return self.directory / self.side.source


def _apart(language: str) -> dict[str, Path]:
    files = HERE / f"workers/r2-{language}"
    return {"asset": HERE / "workers/site", "r2-small": files, "r2-large": files}


def emulator_side() -> Side:
    """The emulator of this checkout, with its default settings."""

    worker = HERE / "workers/python"
    return Side(EMULATOR, "emulator", worker, "entry.py", _emulator, _emulator_keeping, apart=_apart("python"))


def javascript_side() -> Side:
    """The emulator of this checkout with the JavaScript worker that the others run."""
    worker = HERE / "workers/javascript"
    title = "emulator, JavaScript"
    apart = _apart("javascript")
    return Side(EMULATOR_JAVASCRIPT, title, worker, "index.js", _emulator, _emulator_keeping, ("asset",), apart=apart)


def uvicorn_side() -> Side:
    """The server that the emulator's HTTP is built on, with an application that does nothing but answer."""

    def command(_: Path, port: int, __: int) -> Sequence[str]:
        return [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--no-access-log"]

    lacks = ("send", "flood", "latency", "reload", "kv-get", "kv-put", "d1-select", "d1-insert", *_apart("python"))
    return Side(UVICORN, f"uvicorn {version('uvicorn')}", HERE / "workers/bare", "app.py", command, lacks=lacks)


def _emulator(directory: Path, port: int, _: int) -> Sequence[str]:
    program = Path(sys.executable).with_name("emulator")
    return [str(program), *_dev(directory, port)]


def _emulator_keeping(directory: Path, port: int, debugger_port: int) -> Sequence[str]:
    return [*_emulator(directory, port, debugger_port), "--persist-to", str(directory / "state")]


def _emulator_module(directory: Path, port: int, _: int) -> Sequence[str]:
    return [sys.executable, "-m", "emulator", *_dev(directory, port)]


def _dev(directory: Path, port: int) -> Sequence[str]:
    return ["dev", "-c", str(directory / "wrangler.jsonc"), "-p", str(port)]


def sides_against(checkout: Path) -> tuple[Side, ...]:
    """The emulator of this checkout and that of another one, in both languages where workerd is installed. Both run on
    the Python and the packages of this checkout.

    Raises BenchError when `checkout` holds no emulator.
    """
    if not (checkout / "emulator/__main__.py").is_file():
        raise BenchError(f"{checkout} is not a checkout of the emulator")
    sides = [emulator_side()]
    with suppress(EmulatorError):
        find_workerd(HERE)
        sides.append(javascript_side())
    return tuple(
        replace(
            side,
            name=side.name + suffix,
            command=_emulator_module,
            keeping=None,
            variables={"PYTHONPATH": _python_path(root.resolve())},
        )
        for side in sides
        for suffix, root in (("", HERE.parent), (BEFORE, checkout))
    )


def _python_path(checkout: Path) -> str:
    return os.pathsep.join([str(checkout), str(checkout / "runtime")])


def node_sides() -> tuple[Side, ...]:
    """The emulator with a JavaScript worker, `workerd serve` and wrangler dev, on the workerd and at the versions of
    `package.json`, which `install` puts in place."""

    def workerd(directory: Path, port: int, _: int) -> Sequence[str]:
        # Queues are an experiment of workerd's.
        options = ["--experimental", "--watch", "--socket-addr", f"http=127.0.0.1:{port}"]
        return [str(find_workerd(HERE)), "serve", *options, str(directory / "wrangler.jsonc")]

    def wrangler(directory: Path, port: int, debugger_port: int) -> Sequence[str]:
        program = HERE / "node_modules/wrangler/bin/wrangler.js"
        ports = ["--ip", "127.0.0.1", "--port", str(port), "--inspector-port", str(debugger_port)]
        configuration = ["-c", str(directory / "wrangler.jsonc")]
        return [
            node.find() or "node",
            str(program),
            "dev",
            *configuration,
            *ports,
            "--show-interactive-dev-session=false",
        ]

    versions = json.loads((HERE / "package.json").read_text())["devDependencies"]
    worker, apart = HERE / "workers/javascript", _apart("javascript")
    title, no_bucket = f"workerd serve {versions['workerd']}", ("r2-small", "r2-large")
    return (
        javascript_side(),
        Side(WORKERD, title, worker, "index.js", workerd, workerd, no_bucket, apart=apart),
        Side(WRANGLER, f"wrangler dev {versions['wrangler']}", worker, "index.js", wrangler, apart=apart),
    )


def install() -> None:
    """Have npm install what `package-lock.json` says into `bench/node_modules`, unless that is there already, and a
    newer Node.js where the machine's is too old.

    Raises BenchError when node is missing, or the installation fails.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise BenchError(f"node and npm are not installed, so {_ALONE}")
    if (missing := node.install()) is not None:
        raise BenchError(f"{missing}, so {_ALONE}")
    installed = HERE / "node_modules/.package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= (HERE / "package-lock.json").stat().st_mtime:
        return
    done = subprocess.run(["npm", "ci"], cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it does not say why")
        raise BenchError(f"npm ci failed, so {_ALONE}: {reason}")


@contextmanager
def running(side: Side, scratch: Path) -> Iterator[Server]:
    """Start `side` in a new directory under `scratch`, wait for its first answer, and end all its processes at the end.

    Raises BenchError when it does not answer within a minute, with the end of its log.
    """
    directory = scratch / f"{side.name}-{time.monotonic_ns()}"
    shutil.copytree(side.worker, directory)
    port, debugger_port = _free_ports()
    log = directory.with_suffix(".log")
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            side.command(directory, port, debugger_port),
            cwd=directory,
            env={**environment(scratch), **side.variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_answer(process, port, log)
        yield Server(side, process.pid, port, directory, time.perf_counter() - started)
    finally:
        _end(process)
        shutil.rmtree(directory, ignore_errors=True)


def environment(scratch: Path) -> dict[str, str]:
    """What a side runs with: the environment of this process, but for what would make a side slower than it is.

    Wrangler is kept from the network and from the user's home. Python may cache its bytecode, as it does by default.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    programs = {"EMULATOR_WORKERD": find_workerd, "EMULATOR_ESBUILD": find_esbuild, "WORKERD_ESBUILD": find_esbuild}
    for variable, find in programs.items():
        with suppress(EmulatorError):
            inherited[variable] = str(find(HERE))
    return inherited | {
        "CI": "1",
        "NO_COLOR": "1",
        "CLOUDFLARE_CF_FETCH_ENABLED": "false",
        "WRANGLER_HIDE_BANNER": "true",
        "WRANGLER_LOG_PATH": str(scratch / "wrangler-logs"),
        "WRANGLER_REGISTRY_PATH": str(scratch / "wrangler-registry"),
        "WRANGLER_SEND_METRICS": "false",
        "XDG_CONFIG_HOME": str(scratch / "configuration"),
    }


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"it ended with {process.returncode}: {_tail(log)}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/ok")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.002)
    raise BenchError(f"it did not answer within {START_TIMEOUT_SECONDS:g} seconds: {_tail(log)}")


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return " / ".join(lines[-5:]) or "its log is empty"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the processes of the group that `process` leads: politely first, then for good."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
