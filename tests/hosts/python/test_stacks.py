"""Plain functions of a worker that wait: `run_sync`, `run_until_complete` and `asyncio.run` inside a handler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from textwrap import dedent
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import uvloop

from emulator.base.bus import Bus
from emulator.config.model import WorkerConfig
from emulator.hosts.events import HandlerFailed
from emulator.hosts.host import HandlerError
from emulator.hosts.python.host import PythonHost
from emulator.hosts.python.watchdog import Watchdog
from emulator.queues.message import Backlog, QueueMessage, WorkerDelivery
from emulator_runtime.workers.request import Request
from tests.hosts.support import deliver, fetch, run_scheduled

if TYPE_CHECKING:
    from tests.hosts.python.support import WriteFiles

T = TypeVar("T")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

WAITS = """\
import asyncio
import contextvars
from pyodide.ffi import can_run_sync, run_sync
from workers import Response, WorkerEntrypoint, env

mark = contextvars.ContextVar("mark", default="")

async def later(value):
    await asyncio.sleep(0)
    return value

def plainly(value):
    return run_sync(later(value))
"""


class Bench:
    """Runs a worker on a loop, and keeps what failed."""

    def __init__(self, write: WriteFiles, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._write = write
        self._make_loop = make_loop
        self.failed: list[HandlerFailed] = []
        self.env = SimpleNamespace(GREETING="hello")

    def run(self, source: str | dict[str, str], test: Callable[[PythonHost], Awaitable[T]], **settings: Any) -> T:
        """Start a host over src/entry.py, `WAITS` followed by `source`, or over files by name; run `test`; stop."""
        files = {"src/entry.py": WAITS + dedent(source)} if isinstance(source, str) else source
        root = self._write(files)
        config = WorkerConfig("shop", root / "wrangler.jsonc", root / "src/entry.py", **settings)
        bus = Bus()
        bus.subscribe(HandlerFailed, self.failed.append)
        host = PythonHost(config, make_env=lambda _config: self.env, outbound=_no_way_out, bus=bus)

        async def main() -> T:
            await host.start()
            assert host.failure is None, host.failure.text
            try:
                return await test(host)
            finally:
                await host.stop(0.01)

        with asyncio.Runner(loop_factory=self._make_loop) as runner:
            return runner.run(main())

    def text(self, source: str | dict[str, str], **settings: Any) -> str:
        """What a fetch of `source` answers."""
        return self.run(source, get, **settings)


async def _no_way_out(_request: Request) -> Any:
    raise AssertionError


async def get(host: PythonHost, path: str = "/") -> str:
    return await (await fetch(host, Request(f"http://localhost{path}"))).text()


@pytest.fixture(params=LOOPS)
def bench(write: WriteFiles, request: pytest.FixtureRequest) -> Bench:
    return Bench(write, LOOPS[request.param])


ANSWERS = {
    "in a coroutine": """
        async def on_fetch(request):
            await asyncio.sleep(0)
            return Response(plainly("waited"))
    """,
    "in a plain handler": """
        def on_fetch(request):
            return Response(plainly("waited"))
    """,
    "in a class": """
        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                return Response(plainly("waited"))
    """,
    "in a coroutine that a plain function waits for": """
        async def outer():
            return plainly("waited")

        async def on_fetch(request):
            return Response(run_sync(outer()))
    """,
    "for a future": """
        async def on_fetch(request):
            return Response(run_sync(asyncio.ensure_future(later("waited"))))
    """,
    "for several": """
        async def on_fetch(request):
            return Response("".join(run_sync(asyncio.gather(later("wai"), later("ted")))))
    """,
    "with the loop": """
        def on_fetch(request):
            return Response(asyncio.get_event_loop().run_until_complete(later("waited")))
    """,
    "with asyncio.run": """
        async def on_fetch(request):
            return Response(asyncio.run(later("waited")))
    """,
    "in a task": """
        async def task():
            return plainly("waited")

        async def on_fetch(request):
            return Response((await asyncio.gather(task(), task()))[1])
    """,
    "in a stream": """
        async def chunks():
            yield plainly(b"wai")
            yield plainly(b"ted")

        async def on_fetch(request):
            return Response(chunks())
    """,
    "in a thread": """
        async def on_fetch(request):
            return Response(await asyncio.to_thread(plainly, "waited"))
    """,
    "for work that takes the result of other work": """
        async def on_fetch(request):
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.001, future.set_result, "waited")
            return Response(run_sync(future))
    """,
}


@pytest.mark.parametrize("where", ANSWERS)
def test_a_plain_function_waits(bench: Bench, where: str) -> None:
    assert bench.text(ANSWERS[where]) == "waited"


def test_every_handler_waits(bench: Bench) -> None:
    source = """
        done = []

        async def on_queue(batch):
            done.append(plainly(batch.messages[0].body))
            batch.messages[0].ack()

        async def on_scheduled(controller):
            done.append(plainly(controller.cron))

        async def on_fetch(request):
            return Response(" ".join(done))
    """
    message = QueueMessage("1", b'"body"', "json", 1.0, 1.0, 1.0, attempts=1)

    async def test(host: PythonHost) -> str:
        verdict = await deliver(host, WorkerDelivery("q", [message], Backlog(1, 10, 1.0)))
        assert verdict.explicit_acks == {"1"}
        await run_scheduled(host, "* * * * *")
        return await get(host)

    assert bench.run(source, test) == "body * * * * *"


def test_requests_that_wait_go_on_side_by_side(bench: Bench) -> None:
    source = """
        gates = {"/a": asyncio.Event(), "/b": asyncio.Event()}

        def wait_for_the_other(path):
            other = "/b" if path == "/a" else "/a"
            gates[other].set()
            run_sync(gates[path].wait())
            return path

        async def on_fetch(request):
            return Response(wait_for_the_other(request.url.removeprefix("http://localhost")))
    """

    async def test(host: PythonHost) -> list[str]:
        return await asyncio.gather(*[get(host, path) for path in ("/a", "/b")])

    assert bench.run(source, test) == ["/a", "/b"]


def test_the_invocation_the_task_and_the_context_stay_the_same(bench: Bench) -> None:
    source = """
        def inside(path):
            before = asyncio.current_task()
            seen = run_sync(outside(path))
            assert asyncio.current_task() is before
            return f"{seen} {env.GREETING} {mark.get()}"

        async def outside(path):
            await asyncio.sleep(0)
            assert env.GREETING == "hello"
            return mark.get()

        async def on_fetch(request):
            path = request.url[-1]
            mark.set(path)
            await asyncio.sleep(0)
            return Response(inside(path))
    """

    async def test(host: PythonHost) -> list[str]:
        return await asyncio.gather(*[get(host, f"/{number}") for number in range(9)])

    assert bench.run(source, test) == [f"{number} hello {number}" for number in range(9)]


def test_exceptions_pass_with_their_frames(bench: Bench) -> None:
    source = """
        async def fails():
            await asyncio.sleep(0)
            raise ZeroDivisionError("in the coroutine")

        def between():
            run_sync(fails())

        async def on_fetch(request):
            if request.url.endswith("caught"):
                try:
                    between()
                except ZeroDivisionError as error:
                    return Response(str(error))
            between()
    """

    async def test(host: PythonHost) -> str:
        with pytest.raises(HandlerError, match="in the coroutine"):
            await get(host)
        return await get(host, "/caught")

    assert bench.run(source, test) == "in the coroutine"
    frames = [frame.function for frame in bench.failed[0].failure.frames if frame.is_user]
    assert frames == ["on_fetch", "between", "fails"]


def test_a_cancelled_handler_is_cancelled_where_it_waits(bench: Bench) -> None:
    source = """
        seen = []

        def waits():
            try:
                run_sync(asyncio.Event().wait())
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        async def on_fetch(request):
            if request.url.endswith("seen"):
                return Response(str(seen))
            waits()
    """

    async def test(host: PythonHost) -> str:
        waiting = asyncio.ensure_future(get(host))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        assert waiting.cancelled()
        return await get(host, "/seen")

    assert bench.run(source, test) == "['cancelled']"


def test_a_timeout_around_a_plain_function_interrupts_it(bench: Bench) -> None:
    source = """
        async def on_fetch(request):
            try:
                async with asyncio.timeout(0.001):
                    run_sync(asyncio.Event().wait())
            except TimeoutError:
                return Response("timed out")
    """
    assert bench.text(source) == "timed out"


def test_a_task_that_is_cancelled_before_it_begins_leaves_nothing_behind(bench: Bench) -> None:
    source = """
        async def on_fetch(request):
            task = asyncio.create_task(later("never"))
            task.cancel()
            await asyncio.wait([task])
            return Response(str(task.cancelled()))
    """
    assert bench.text(source) == "True"


def test_wait_until_work_waits(bench: Bench) -> None:
    source = """
        done = []

        async def work():
            done.append(plainly("done"))

        async def on_fetch(request, env, ctx):
            if not done:
                ctx.waitUntil(work())
            return Response(str(done))
    """

    async def test(host: PythonHost) -> str:
        assert await get(host) == "[]"
        await asyncio.sleep(0.01)
        return await get(host)

    assert bench.run(source, test) == "['done']"


def test_run_sync_is_refused_at_import(bench: Bench) -> None:
    source = """
        try:
            plainly("x")
        except RuntimeError as error:
            refused = f"{can_run_sync()} {error}"

        async def on_fetch(request):
            return Response(f"{refused}; {can_run_sync()}")
    """
    assert bench.text(source) == (
        "False Cannot stack switch: run_sync works while an event is handled, not at import; True"
    )


def test_a_module_that_is_imported_late_makes_later_invocations_wait(bench: Bench) -> None:
    files = {
        "src/entry.py": """
            from workers import Response

            async def on_fetch(request):
                import late
                return Response(late.plainly())
            """,
        "src/late.py": """
            from pyodide.ffi import run_sync

            async def waited():
                return "waited"

            def plainly():
                return run_sync(waited())
            """,
    }

    async def test(host: PythonHost) -> str:
        with pytest.raises(HandlerError, match=r"Cannot stack switch: .* in a module that main imports"):
            await get(host)
        return await get(host)

    assert bench.run(files, test) == "waited"


def test_third_party_code_that_waits_is_noticed(bench: Bench) -> None:
    files = {
        "src/entry.py": """
            import library
            from workers import Response

            async def on_fetch(request):
                return Response(library.waited())
            """,
        "python_modules/library.py": """
            import asyncio

            async def later():
                return "waited"

            def waited():
                return asyncio.get_event_loop().run_until_complete(later())
            """,
    }
    assert bench.text(files) == "waited"
    assert bench.text(files) == "waited"  # from the cached bytecode


def test_a_worker_that_does_not_wait_has_no_stacks(bench: Bench) -> None:
    files = {"src/entry.py": "from workers import Response\nasync def on_fetch(request): return Response('x')"}

    async def test(host: PythonHost) -> str:
        loop = asyncio.get_running_loop()
        assert loop.get_task_factory() is None
        assert "run_until_complete" not in vars(loop)
        assert host._version is not None
        assert host._version.stacks is None
        return await get(host)

    assert bench.run(files, test) == "x"


def test_the_loop_is_put_back_when_the_last_worker_that_waits_has_gone(bench: Bench) -> None:
    run = asyncio.run

    async def test(host: PythonHost) -> None:
        loop = asyncio.get_running_loop()
        await host.reload(host.config)
        assert loop.get_task_factory() is not None
        await get(host)
        await host.stop(0)
        assert loop.get_task_factory() is None
        assert "run_until_complete" not in vars(loop)
        assert asyncio.run is run

    bench.run("async def on_fetch(request): return Response('x')", test)


def test_the_limit_of_cpu_time_holds_on_a_stack(bench: Bench) -> None:
    source = """
        def spins():
            plainly("x")
            while True:
                pass

        async def on_fetch(request):
            spins()
    """

    async def test(host: PythonHost) -> None:
        watchdog = Watchdog(asyncio.get_running_loop(), lambda *_: None, blocked_after_seconds=0.1)
        watchdog.start()
        try:
            with pytest.raises(HandlerError, match="200 ms of CPU time"):
                await get(host)
        finally:
            watchdog.stop()

    bench.run(source, test, cpu_ms=200)


def test_a_stream_goes_on_in_the_context_of_its_handler(bench: Bench) -> None:
    source = """
        async def chunks():
            token = mark.set("streaming")
            yield plainly(b"a")
            await asyncio.sleep(0)
            yield f"{mark.get()} {env.GREETING}".encode()
            mark.reset(token)

        def first_in_the_handler():
            stream = chunks()
            first = run_sync(stream.__anext__())
            async def rest():
                yield first
                async for chunk in stream:
                    yield chunk
            return rest()

        async def on_fetch(request):
            return Response(first_in_the_handler())
    """

    async def test(host: PythonHost) -> bytes:
        response = await fetch(host, Request("http://localhost/"))
        return await asyncio.create_task(response.bytes())

    assert bench.run(source, test) == b"astreaming hello"
