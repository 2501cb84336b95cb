"""A NATS server that a test starts, stops, kills and starts again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from emulator.queues.jetstream.address import Address, read_address

PROGRAM = Path(sys.executable).parent / "nats-server"
START_SECONDS = 20.0

_prefixes = count()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class NatsServer:
    """A server that keeps its files in `directory`. `options` are more arguments of its command line, and `under` is
    the command that runs it."""

    def __init__(self, directory: Path, *options: str, under: Sequence[str] = ()) -> None:
        self.port = free_port()
        self._directory = directory
        self._options = options
        self._under = under
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def address(self, query: str = "") -> Address:
        """Where the server is, with a prefix that no other test has."""
        return read_address(f"{self.url}?prefix=test{next(_prefixes)}{query}")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        server = [str(PROGRAM), "-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self._directory), *self._options]
        command = [*self._under, *server]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "nats-server ended at once"
            time.sleep(0.02)
        raise AssertionError("nats-server does not listen")

    def kill(self) -> None:
        """Kill it, as the loss of a machine would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGCONT)
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it stand still until `thaw`."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def nats_server(*options: str, under: Sequence[str] = ()) -> Iterator[NatsServer]:
    """A server with JetStream in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="nats-") as directory:
        server = NatsServer(Path(directory), "-js", *options, under=under)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def nats_cluster() -> Iterator[list[NatsServer]]:
    """Three servers with JetStream that are a cluster."""
    with ExitStack() as ending:
        ports = [free_port() for _ in range(3)]
        routes = ",".join(f"nats://127.0.0.1:{port}" for port in ports)
        servers = []
        for number, port in enumerate(ports):
            directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="nats-")))
            listen = f"nats://127.0.0.1:{port}"
            names = ("--server_name", f"server{number}", "--cluster_name", "test")
            servers.append(NatsServer(directory, "-js", *names, "--cluster", listen, "--routes", routes))
        for server in servers:
            server.start()
            ending.callback(server.kill)
        yield servers


async def until(condition: object, seconds: float = 20.0) -> None:
    """Wait until a function returns something true, as long as a slow machine may take."""
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what happens in another process sets no event
            await asyncio.sleep(0.01)
