from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from emulator.base.bus import Bus, Notice
from emulator.config.model import Binding, WorkerConfig
from emulator.hosts.events import HandlerFailed, WorkerOutput
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded
from emulator.hosts.python.host import PythonHost
from emulator.hosts.python.output import install
from emulator.queues.message import Backlog, QueueMessage, Verdict, WorkerDelivery
from emulator_runtime.invocation import current
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import FetchResponse
from tests.hosts.support import deliver, fetch, run_scheduled

if TYPE_CHECKING:
    from tests.hosts.python.support import WriteFiles


T = TypeVar("T")


class Bench:
    """A host over files that a test writes, and what it published."""

    def __init__(self, write: WriteFiles) -> None:
        self.write = write
        self.bus = Bus()
        self.failed: list[HandlerFailed] = []
        self.notices: list[Notice] = []
        self.bus.subscribe(HandlerFailed, self.failed.append)
        self.bus.subscribe(Notice, self.notices.append)
        self.host: PythonHost

    def run(self, source: str | dict[str, str], test: Callable[[PythonHost], Awaitable[T]], **settings: Any) -> T:
        """Start a host over `source` (the text of src/entry.py, or files by name), run `test`, and stop the host."""
        files = {"src/entry.py": source} if isinstance(source, str) else source
        root = self.write(files)
        self.config = WorkerConfig("sign-up", root / "wrangler.jsonc", root / "src/entry.py", **settings)
        env = SimpleNamespace(GREETING="hello")
        self.host = PythonHost(self.config, make_env=lambda _config: env, outbound=_no_way_out, bus=self.bus)

        async def main() -> T:
            await self.host.start()
            try:
                return await test(self.host)
            finally:
                await self.host.stop(0.01)
                assert not current.get(None)

        return asyncio.run(main())

    async def reload(self, source: str) -> None:
        self.write({"src/entry.py": source})
        await self.host.reload(self.config)


async def _no_way_out(_request: Request) -> Any:
    raise AssertionError


@pytest.fixture
def bench(write: WriteFiles) -> Iterator[Bench]:
    before = set(sys.modules)
    yield Bench(write)
    assert not [name for name in set(sys.modules) - before if "@" in name]


def get(path: str = "/") -> Request:
    return Request(f"http://localhost{path}")


async def text_of(host: PythonHost, path: str = "/") -> str:
    return await (await fetch(host, get(path))).text()


def delivery(*bodies: Any) -> WorkerDelivery:
    messages = [
        QueueMessage(f"{number:032x}", json.dumps(body).encode(), "json", 1.0, 1.0, 1.0, attempts=1)
        for number, body in enumerate(bodies)
    ]
    return WorkerDelivery("my-events", messages, Backlog(len(messages), 10, 1.0))


FETCH_FORMS = {
    "class": """
        from workers import Response, WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                return Response(self.env.GREETING + " " + request.url)
    """,
    "all arguments": """
        from workers import Response, WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def fetch(self, request, env, ctx):
                assert env is None
                assert ctx is None
                return Response(self.env.GREETING + " " + request.url)
    """,
    "sync": """
        from workers import Response, WorkerEntrypoint
        class Default(WorkerEntrypoint):
            def fetch(self, request, env):
                return Response(self.env.GREETING + " " + request.url)
    """,
    "no arguments": """
        from workers import Response, WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def fetch(self):
                return Response(self.env.GREETING + " http://localhost/")
    """,
    "any arguments": """
        from workers import Response, WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def fetch(self, *arguments, option=1, **options):
                request, env, ctx = arguments
                return Response(self.env.GREETING + " " + request.url)
    """,
    "a default value": """
        from workers import Response, WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def fetch(self, request, env=None, ctx=None, more=1):
                return Response(self.env.GREETING + " " + request.url)
    """,
    "static method": """
        from workers import Response, WorkerEntrypoint, env
        class Default(WorkerEntrypoint):
            @staticmethod
            async def fetch(request):
                return Response(env.GREETING + " " + request.url)
    """,
    "class method": """
        from workers import Response, WorkerEntrypoint, env
        class Default(WorkerEntrypoint):
            @classmethod
            async def fetch(cls, request):
                return Response(env.GREETING + " " + request.url)
    """,
    "own constructor": """
        from workers import Response, WorkerEntrypoint
        class Default(WorkerEntrypoint):
            def __init__(self, ctx, env):
                super().__init__(ctx, env)
                self.greeting = env.GREETING
            async def fetch(self, request):
                return Response(self.greeting + " " + request.url)
    """,
    "inherited": """
        from workers import Response, WorkerEntrypoint
        class Base(WorkerEntrypoint):
            async def fetch(self, request):
                return Response(self.env.GREETING + " " + request.url)
        class Default(Base):
            pass
    """,
    "on_fetch": """
        from workers import Response
        async def on_fetch(request, env, ctx):
            return Response(env.GREETING + " " + request.url)
    """,
    "decorated": """
        from workers import Response, handler
        @handler
        def on_fetch(request, env):
            return Response(env.GREETING + " " + request.url)
    """,
    "wrapped": """
        import functools
        from workers import Response
        def logged(function):
            @functools.wraps(function)
            async def inner(*arguments):
                return await function(*arguments)
            return inner
        @logged
        async def on_fetch(request, env):
            return Response(env.GREETING + " " + request.url)
    """,
    "plain": """
        from workers import Response, env
        async def fetch(request):
            return Response(env.GREETING + " " + request.url)
    """,
    "the class wins": """
        from workers import Response, WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                return Response(self.env.GREETING + " " + request.url)
        def on_fetch(request):
            return Response("the function")
    """,
}

ON_FETCH = (
    "src/entry.py: production does not run the function on_fetch: make it a method of class Default(WorkerEntrypoint), "
    "or set the compatibility flag disable_python_no_global_handlers"
)
UNLIKE_PRODUCTION = {
    "static method": [
        "src/entry.py:4: production does not call Default.fetch, because it is not a plain method with self"
    ],
    "class method": [
        "src/entry.py:4: production does not call Default.fetch, because it is not a plain method with self"
    ],
    "on_fetch": [ON_FETCH],
    "decorated": [ON_FETCH],
    "wrapped": [ON_FETCH],
    "plain": [
        "src/entry.py: production does not run the function fetch: make it a method of class Default(WorkerEntrypoint)"
    ],
    "the class wins": ["src/entry.py: on_fetch is never called, because the module has a class Default"],
}


@pytest.mark.parametrize("form", FETCH_FORMS)
def test_a_fetch_entrypoint_of_any_form_is_called_with_what_it_declares(bench: Bench, form: str) -> None:
    assert bench.run(FETCH_FORMS[form], text_of) == "hello http://localhost/"
    assert [notice.text for notice in bench.notices] == UNLIKE_PRODUCTION.get(form, [])


async def handlers_of(host: PythonHost) -> Sequence[str]:
    return host.handlers


METHODS = """
    from workers import WorkerEntrypoint
    class Default(WorkerEntrypoint):
        def fetch(self): ...
        def queue(self, batch, env, ctx): ...
        def scheduled(self, *arguments): ...
"""
ON_FETCH_METHOD = METHODS.replace("fetch", "on_fetch")
FUNCTIONS = "def on_fetch(): ...\ndef on_queue(batch): ...\ndef scheduled(): ...\n"
OLD = "2025-08-13"
NEW = "2025-08-14"
LEGACY = "disable_python_no_global_handlers"


@pytest.mark.parametrize(
    ("source", "date", "flags", "warning"),
    [
        (METHODS, "", (), ""),
        (METHODS, NEW, (), ""),
        (
            METHODS,
            OLD,
            (),
            (
                "src/entry.py:4: with this compatibility date production calls a method on_fetch, not Default.fetch: "
                "set a date from 2025-08-14 on"
            ),
        ),
        (
            METHODS,
            NEW,
            (LEGACY,),
            (
                "src/entry.py:4: with this compatibility flag production calls a method on_fetch, not Default.fetch: "
                f"remove the flag {LEGACY}"
            ),
        ),
        (METHODS, OLD, ("python_no_global_handlers",), ""),
        (ON_FETCH_METHOD, OLD, (), ""),
        ("def on_fetch(): ...", OLD, (), ""),
        ("def on_fetch(): ...", NEW, (LEGACY,), ""),
        (
            FUNCTIONS,
            NEW,
            (),
            (
                "src/entry.py: production does not run the functions on_fetch, on_queue, scheduled: "
                "make them methods of class Default(WorkerEntrypoint)"
            ),
        ),
        (
            FUNCTIONS,
            OLD,
            (),
            (
                "src/entry.py: production does not run the function scheduled: "
                "make it a method of class Default(WorkerEntrypoint)"
            ),
        ),
        (
            METHODS.replace("Default", "Shop") + "    Default = Shop\n",
            NEW,
            (),
            "src/entry.py: production does not find the class Default, because it was defined as Shop",
        ),
    ],
)
def test_handlers_that_production_does_not_run_are_a_warning(
    bench: Bench, source: str, date: str, flags: Sequence[str], warning: str
) -> None:
    assert bench.run(source, handlers_of, compatibility_date=date, compatibility_flags=frozenset(flags))
    assert [notice.text for notice in bench.notices] == ([warning] if warning else [])


def test_a_reload_repeats_no_warning(bench: Bench) -> None:
    async def test(host: PythonHost) -> list[int]:
        counts = []
        for code in ("def on_fetch(): ...", "def on_queue(): ...", METHODS, "def on_queue(): ..."):
            await bench.reload(code)
            counts.append(len(bench.notices))
        return counts

    assert bench.run("def on_fetch(): ...", test) == [1, 2, 2, 3]


def test_queue_and_scheduled_of_a_class_get_three_arguments_of_which_only_the_first_is_there(bench: Bench) -> None:
    source = """
        from workers import WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def queue(self, batch, env, ctx):
                assert self.env.GREETING == "hello"
                print(batch.queue, env, ctx)
            async def scheduled(self, *arguments):
                print(arguments[0].cron, arguments[1:])
        """
    printed: list[str] = []

    async def test(host: PythonHost) -> None:
        restore = install(bench.bus)
        try:
            assert (await deliver(host, delivery(1))).outcome == "ok"
            await run_scheduled(host, "* * * * *", 0)
        finally:
            restore()

    bench.bus.subscribe(WorkerOutput, lambda output: printed.append(output.text))
    bench.run(source, test)
    assert printed == ["my-events None None", "* * * * * (None, None)"]


@pytest.mark.parametrize("call", ["self.queue(1, 2, 3)", "env.EVENTS.send(1)", "ctx.waitUntil(1)"])
def test_a_handler_that_uses_env_or_ctx_of_its_arguments_is_told_of_self(bench: Bench, call: str) -> None:
    source = f"""
        from workers import WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def queue(self, batch, env, ctx):
                {call.replace("self.queue(1, 2, 3)", "env.other")}
        """
    events = Binding("queue", "EVENTS", None)
    verdict = bench.run(source, lambda host: deliver(host, delivery(1)), bindings=(events,))
    hint = "(env and ctx are None in the methods of a class: use self.env and self.ctx)"
    assert (hint in verdict.error) == ("self.queue" not in call)


def test_an_imported_fetch_is_not_a_handler(bench: Bench) -> None:
    async def test(host: PythonHost) -> Sequence[str]:
        return host.handlers

    source = "from workers import Response, fetch\nimport queue\ndef on_scheduled():\n    pass"
    assert bench.run(source, test) == ("scheduled",)


LOAD_ERRORS = {
    "import os\n": ["src/entry.py: the module has no entrypoint", "class Default(WorkerEntrypoint)"],
    "from workers import WorkerEntrypoint\nclass default(WorkerEntrypoint):\n    def fetch(self): ...": [
        "class default (line 2) is a named entrypoint",
    ],
    "class Default:\n    def fetch(self): ...": ["class Default (line 1) must be a subclass of WorkerEntrypoint"],
    "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n    def get(self): ...": [
        "class Default (src/entry.py:2) has no method fetch, queue, scheduled or email",
    ],
    "def onFetch(request): ...": ["function onFetch (line 1) does not have the name of an entrypoint"],
    "def on_fetch(request, env, ctx, more): ...": [
        "src/entry.py:1: on_fetch(request, env, ctx, more) needs more than three arguments",
        "expected on_fetch(request, env, ctx), or fewer",
    ],
    "def on_queue(batch, *, option): ...": ["src/entry.py:1: on_queue(batch, *, option) needs the keyword argument"],
    "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n    def queue(): ...": [
        "src/entry.py:3: Default.queue() has no self",
        "expected Default.queue(self, batch, env, ctx)",
    ],
    "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n    async def queue(self, batch): ...": [
        "src/entry.py:3: Default.queue(self, batch) takes 1 argument, but production calls it with batch, env, ctx",
        "write `async def queue(self, batch, env, ctx)`; env and ctx are None there, use self.env and self.ctx",
    ],
    "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n    def scheduled(self): ...": [
        "src/entry.py:3: Default.scheduled(self) takes 0 arguments, but production calls it with controller, env, ctx",
        "write `def scheduled(self, controller, env, ctx)`",
    ],
    "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n    fetch = 3": [
        "src/entry.py:2: Default.fetch must be a method, not int",
    ],
    "import sys\nsys.exit(3)": ["SystemExit: 3: the module called sys.exit() while it was imported"],
    "raise KeyError('x')": ["KeyError: 'x'"],
    "def f(:\n    pass": ["SyntaxError: invalid syntax"],
    "class Weird(BaseException): ...\nraise Weird('!')": ["Weird: !"],
    "import nothing_of_that_name": [
        "ModuleNotFoundError: No module named 'nothing_of_that_name' (if it is a package, install it with `",
        " nothing_of_that_name`)",
    ],
}


@pytest.mark.parametrize("source", LOAD_ERRORS)
def test_code_that_does_not_load_says_why_and_is_asked_for_nothing(bench: Bench, source: str) -> None:
    async def test(host: PythonHost) -> str:
        for event in (fetch(host, get()), deliver(host, delivery(1)), run_scheduled(host, "* * * * *", 0)):
            with pytest.raises(NotLoaded) as caught:
                await event
            assert caught.value.failure is host.failure
        assert host.handlers == ()
        assert host.failure is not None
        return host.failure.summary

    summary = bench.run(source, test)
    for part in LOAD_ERRORS[source]:
        assert part in summary


@pytest.mark.parametrize("module", ["json.nothing", "js.nothing", "sunau_", "_winapi"])
def test_only_what_may_be_a_package_is_said_to_be_installable(bench: Bench, module: str) -> None:
    source = f"""
        from workers import WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                import {module}
    """

    async def test(host: PythonHost) -> str:
        with pytest.raises(HandlerError) as caught:
            await fetch(host, get())
        return caught.value.failure.summary

    assert ("install it with" in bench.run(source, test)) == (module == "sunau_")


def test_ctrl_c_while_a_module_is_imported_is_not_the_modules_failure(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.run("raise KeyboardInterrupt", text_of)
    asyncio.run(bench.host.stop(0))


def test_a_load_failure_shows_the_users_frames(bench: Bench) -> None:
    async def test(host: PythonHost) -> list[tuple[str, int, bool]]:
        assert host.failure is not None
        return [(Path(frame.file).name, frame.line, frame.is_user) for frame in host.failure.frames]

    files = {"src/entry.py": "import other\n", "src/other.py": "\n1 / 0\n"}
    assert bench.run(files, test) == [("entry.py", 1, True), ("other.py", 2, True)]


def test_the_environment_can_be_used_while_a_module_is_imported(bench: Bench) -> None:
    source = "from workers import Response, env\nTEXT = env.GREETING\ndef on_fetch():\n    return Response(TEXT)"
    assert bench.run(source, text_of) == "hello"


# fetch


def test_an_exception_becomes_a_handler_error_and_is_published_once(bench: Bench) -> None:
    async def test(host: PythonHost) -> HandlerError:
        with pytest.raises(HandlerError) as caught:
            await fetch(host, get("/signup?x=1"))
        return caught.value

    error = bench.run("def on_fetch(request):\n    raise ValueError('no')", test)
    assert isinstance(error.__cause__, ValueError)
    assert error.failure.summary == "ValueError: no"
    assert error.failure.location.endswith("src/entry.py:2")
    assert [(each.worker, each.trigger, each.failure) for each in bench.failed] == [
        ("sign-up", "GET /signup?x=1", error.failure)
    ]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("None", "not None; is a return missing?"),
        ("'text'", "not str; did you mean Response(...)?"),
        ("{}", "not dict; did you mean Response.json(...)?"),
        ("other()", "not coroutine; is an await missing?"),
        ("Mine()", "not entry.Mine"),
    ],
)
def test_an_answer_that_is_no_response_names_the_handler(bench: Bench, returned: str, expected: str) -> None:
    source = f"class Mine: ...\nasync def other(): ...\nasync def on_fetch(request):\n    return {returned}\n"

    async def test(host: PythonHost) -> HandlerError:
        with pytest.raises(HandlerError) as caught:
            await fetch(host, get())
        return caught.value

    error = bench.run(source, test)
    assert isinstance(error.__cause__, TypeError)
    assert "on_fetch (src/entry.py:3) must return a Response, " + expected in error.failure.summary
    assert error.failure.location.endswith("entry.py:3")
    assert error.failure.frames[0].code == "async def on_fetch(request):"
    assert len(bench.failed) == 1


@pytest.mark.parametrize("raised", ["SystemExit(2)", "Weird()"])
def test_a_handler_cannot_end_the_emulator(bench: Bench, raised: str) -> None:
    async def test(host: PythonHost) -> None:
        with pytest.raises(HandlerError):
            await fetch(host, get())

    bench.run(f"class Weird(BaseException): ...\ndef on_fetch():\n    raise {raised}", test)


def test_a_missing_handler_says_what_there_is_instead(bench: Bench) -> None:
    async def test(host: PythonHost) -> None:
        with pytest.raises(HandlerMissing, match="worker sign-up has no fetch handler, it has queue"):
            await fetch(host, get())
        with pytest.raises(HandlerMissing, match="has no scheduled handler"):
            await run_scheduled(host, "* * * * *", 0)

    bench.run("def on_queue(): ...", test)


STREAM = """
    import asyncio
    from workers import Response, env, wait_until
    events = []
    async def on_fetch(request):
        async def chunks():
            try:
                yield env.GREETING.encode()
                import late
                yield late.TEXT
                if "fail" in request.url:
                    raise ValueError("midway")
            finally:
                events.append("closed")
        return Response(chunks())
"""


def test_a_streamed_answer_runs_as_part_of_its_invocation_also_after_a_reload(bench: Bench) -> None:
    async def test(host: PythonHost) -> None:
        response = await fetch(host, get())
        other = await fetch(host, get("/fail"))
        bench.notices.clear()
        await bench.reload("from workers import Response\ndef on_fetch():\n    return Response('new')")
        assert await response.text() == "hello late"
        assert await text_of(host) == "new"
        with pytest.raises(ValueError, match="midway"):
            await other.text()
        assert [(each.trigger, each.failure.summary) for each in bench.failed] == [("GET /fail", "ValueError: midway")]
        assert len([name for name in sys.modules if name.startswith("entry@")]) == 1

    bench.run({"src/entry.py": STREAM, "src/late.py": "TEXT = b' late'"}, test)


def test_wait_until_work_goes_on_after_the_answer_and_its_failure_is_published(bench: Bench) -> None:
    source = """
        import asyncio
        from workers import Response, wait_until
        done = asyncio.Event()
        go = asyncio.Event()
        async def more():
            raise ValueError("late")
        async def work():
            await go.wait()
            wait_until(more())
            done.set()
        def on_fetch(request, env, ctx):
            ctx.waitUntil(work())
            return Response("ok")
    """

    async def test(host: PythonHost) -> None:
        assert await text_of(host, "/x") == "ok"
        module = next(module for name, module in sys.modules.items() if name.startswith("entry@"))
        assert not bench.failed
        module.go.set()
        await module.done.wait()
        await host.stop(5)
        assert [(each.trigger, each.failure.summary) for each in bench.failed] == [
            ("waitUntil GET /x", "ValueError: late")
        ]

    bench.run(source, test)


# queue


def queue_result(bench: Bench, body: str, *messages: Any, **settings: Any) -> Verdict:
    source = "import asyncio\nfrom workers import env\nasync def on_queue(batch, env, ctx):\n" + "\n".join(
        f"    {line}" for line in body.splitlines()
    )
    return bench.run(source, lambda host: deliver(host, delivery(*messages)), **settings)


def test_a_batch_arrives_with_its_messages_and_metrics(bench: Bench) -> None:
    result = queue_result(
        bench,
        "assert (batch.queue, len(batch.messages), batch.metadata.metrics.backlogCount) == ('my-events', 2, 2)\n"
        "first, second = batch.messages\n"
        "assert first.body == {'type': 'welcome'} and first.body.type == 'welcome' and first.body is first.body\n"
        "assert (first.id, first.attempts, first.timestamp.timestamp()) == ('0' * 32, 1, 1.0)\n",
        {"type": "welcome"},
        2,
    )
    assert result == Verdict("ok")


def test_what_the_handler_decided_is_told(bench: Bench) -> None:
    result = queue_result(
        bench,
        "a, b, c, d = batch.messages\na.ack()\nb.retry(delaySeconds=7)\nc.retry()\nb.ack()\na.retry()\nbatch.ackAll()",
        *range(4),
    )
    ids = [f"{number:032x}" for number in range(4)]
    assert result == Verdict("ok", ack_all=True, explicit_acks={ids[0]}, retry_messages={ids[1]: 7, ids[2]: None})
    assert [notice.text.partition(" ")[0] for notice in bench.notices] == ["src/entry.py:", "ack()", "retry()"]


def test_decisions_survive_a_handler_that_raises(bench: Bench) -> None:
    result = queue_result(
        bench, "batch.messages[0].ack()\nbatch.retryAll(delaySeconds=3)\nraise ValueError('no')", 1, 2
    )
    assert (result.outcome, result.error, result.explicit_acks) == ("exception", "ValueError: no", {"0" * 32})
    assert (result.retry_all, result.retry_all_delay) == (True, 3)
    assert result.traceback.startswith("Traceback")
    assert result.traceback.endswith("ValueError: no")
    assert [each.trigger for each in bench.failed] == ["QUEUE my-events"]


def test_a_body_that_cannot_be_decoded_raises_where_it_is_read(bench: Bench) -> None:
    message = QueueMessage("0" * 32, b"{", "json", 1.0, 1.0, 1.0, attempts=1)
    source = "def on_queue(batch):\n    batch.messages[0].ack()\n    batch.messages[0].body"
    result = bench.run(source, lambda host: deliver(host, WorkerDelivery("q", [message], Backlog(1, 1, None))))
    assert result.outcome == "exception"
    assert result.explicit_acks == {"0" * 32}


def test_wait_until_work_of_a_batch_is_waited_for_and_its_failure_fails_the_batch(bench: Bench) -> None:
    body = "async def work():\n    await asyncio.sleep(0)\n    raise ValueError('late')\nctx.waitUntil(work())"
    result = queue_result(bench, body, 1)
    assert (result.outcome, result.error) == ("exception", "ValueError: late")
    assert [each.trigger for each in bench.failed] == ["waitUntil QUEUE my-events"]


def test_wait_until_work_of_a_batch_is_not_waited_for_with_the_flag(bench: Bench) -> None:
    body = "async def work():\n    await asyncio.Event().wait()\nctx.waitUntil(work())"
    flags = frozenset({"queue_consumer_no_wait_for_wait_until"})
    assert queue_result(bench, body, 1, compatibility_flags=flags).outcome == "ok"


def test_a_worker_without_a_queue_handler_fails_the_batch_with_a_reason(bench: Bench) -> None:
    result = bench.run("def on_fetch(): ...", lambda host: deliver(host, delivery(1)))
    assert result.outcome == "exception"
    assert "worker sign-up has no queue handler, it has fetch" in result.error


def test_a_cancelled_delivery_is_cancelled_with_its_wait_until_work(bench: Bench) -> None:
    source = """
        import asyncio
        log = []
        async def work():
            try:
                await asyncio.Event().wait()
            finally:
                log.append("work cancelled")
        async def on_queue(batch, env, ctx):
            ctx.waitUntil(work())
    """

    async def test(host: PythonHost) -> list[str]:
        task = asyncio.create_task(deliver(host, delivery(1)))
        module = next(module for name, module in sys.modules.items() if name.startswith("entry@"))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return module.log  # type: ignore[no-any-return]

    assert bench.run(source, test) == ["work cancelled"]
    assert not bench.failed


# scheduled


def test_scheduled_gets_its_controller_and_waits_for_its_work(bench: Bench) -> None:
    source = """
        from workers import WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def scheduled(self, controller, env, ctx):
                assert (controller.cron, controller.scheduledTime) == ("*/5 * * * *", 1234)
                async def work():
                    raise ValueError(self.env.GREETING)
                self.ctx.waitUntil(work())
    """

    async def test(host: PythonHost) -> str:
        with pytest.raises(HandlerError) as caught:
            await run_scheduled(host, "*/5 * * * *", 1234)
        return caught.value.failure.summary

    assert bench.run(source, test) == "ValueError: hello"
    assert [each.trigger for each in bench.failed] == ["waitUntil SCHEDULED */5 * * * *"]


LOGGING = """
    import logging
    from workers import Response
    logging.basicConfig(level=logging.{level}, format="{name} %(levelname)s %(message)s")
    log = logging.getLogger("app")
    log.addHandler(logging.NullHandler())
    def on_fetch():
        log.debug("d")
        log.info("i")
        log.warning("w")
        return Response("ok")
"""

UNCONFIGURED = """
    import logging
    from workers import Response
    def on_fetch():
        logging.getLogger("quiet").info("invisible")
        logging.getLogger("quiet").warning("visible")
        return Response("ok")
"""


def test_each_worker_and_each_version_has_its_own_logging(write: WriteFiles) -> None:
    bus = Bus()
    lines: list[tuple[str, str]] = []
    bus.subscribe(WorkerOutput, lambda event: lines.append((event.worker, event.text)))

    def taken() -> list[tuple[str, str]]:
        shown = lines[:]
        lines.clear()
        return shown

    async def main() -> None:
        root = write(
            {
                "a/entry.py": LOGGING.format(level="INFO", name="A"),
                "b/entry.py": LOGGING.format(level="WARNING", name="B"),
                "c/entry.py": UNCONFIGURED,
            }
        )
        restore = install(bus)
        before = (logging.root.level, list(logging.root.handlers))
        hosts = {}
        for name in "abc":
            config = WorkerConfig(name, root / name / "wrangler.jsonc", root / name / "entry.py")
            hosts[name] = PythonHost(config, make_env=lambda _: None, outbound=_no_way_out, bus=bus)
            await hosts[name].start()
        for host in hosts.values():
            await fetch(host, get())
        assert taken() == [("a", "A INFO i"), ("a", "A WARNING w"), ("b", "B WARNING w"), ("c", "visible")]
        write({"a/entry.py": LOGGING.format(level="DEBUG", name="new A")})
        await hosts["a"].reload(hosts["a"].config)
        for host in hosts.values():
            await fetch(host, get())
        assert taken() == [
            ("a", "new A DEBUG d"),
            ("a", "new A INFO i"),
            ("a", "new A WARNING w"),
            ("b", "B WARNING w"),
            ("c", "visible"),
        ]
        for host in hosts.values():
            await host.stop(0)
        assert (logging.root.level, logging.root.handlers) == before
        restore()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.root, "handlers", [])
        asyncio.run(main())


def test_logging_that_is_configured_after_it_was_used_takes_effect_on_reload(write: WriteFiles) -> None:
    used = "import logging\nfrom workers import Response\ndef on_fetch():\n    logging.warning('w')\n"
    used += "    logging.info('i')\n    return Response('ok')\n"
    bus = Bus()
    lines: list[str] = []
    bus.subscribe(WorkerOutput, lambda event: lines.append(event.text))

    async def main() -> None:
        root = write({"entry.py": used})
        restore = install(bus)
        config = WorkerConfig("a", root / "wrangler.jsonc", root / "entry.py")
        host = PythonHost(config, make_env=lambda _: None, outbound=_no_way_out, bus=bus)
        await host.start()
        await fetch(host, get())
        write(
            {"entry.py": f"import logging\nlogging.basicConfig(level=logging.INFO, format='new %(message)s')\n{used}"}
        )
        await host.reload(config)
        await fetch(host, get())
        await host.stop(0)
        assert logging.root.handlers == []
        restore()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.root, "handlers", [])
        asyncio.run(main())
    assert lines == ["w", "new w", "new i"]


WAITING = """
    import asyncio
    from workers import Response
    go = asyncio.Event()
    async def on_fetch(request):
        if "wait" in request.url:
            await go.wait()
            import late
            return Response(late.TEXT)
        return Response("{name}")
"""


def test_what_runs_finishes_on_the_old_code_and_the_rest_runs_the_new(bench: Bench) -> None:
    async def test(host: PythonHost) -> None:
        module = next(module for name, module in sys.modules.items() if name.startswith("entry@"))
        running = asyncio.create_task(fetch(host, get("/wait")))
        await asyncio.sleep(0)
        await bench.reload(WAITING.replace("{name}", "new"))
        bench.write({"src/late.py": "TEXT = 'late'"})
        assert await text_of(host) == "new"
        assert len([name for name in sys.modules if name.startswith("entry@")]) == 2
        module.go.set()
        assert await (await running).text() == "late"
        assert len([name for name in sys.modules if name.startswith("entry@")]) == 1

    bench.run({"src/entry.py": WAITING.replace("{name}", "old"), "src/late.py": "TEXT = 'late'"}, test)


def test_code_that_does_not_load_holds_events_until_a_good_save(bench: Bench) -> None:
    good = "from workers import Response\ndef on_fetch():\n    return Response('{}')"

    async def test(host: PythonHost) -> None:
        assert await text_of(host) == "one"
        await bench.reload("def f(:")
        assert host.failure is not None
        with pytest.raises(NotLoaded, match="SyntaxError"):
            await fetch(host, get())
        await bench.reload(good.format("two"))
        assert host.failure is None
        assert await text_of(host) == "two"

    bench.run(good.format("one"), test)


def test_stop_waits_for_what_runs(bench: Bench) -> None:
    async def test(host: PythonHost) -> FetchResponse:
        module = next(module for name, module in sys.modules.items() if name.startswith("entry@"))
        running = asyncio.create_task(fetch(host, get("/wait")))
        await asyncio.sleep(0)
        stopping = asyncio.create_task(host.stop(30))
        await asyncio.sleep(0)
        module.go.set()
        await stopping
        with pytest.raises(NotLoaded, match="the worker has been stopped"):
            await fetch(host, get())
        return await running

    files = {"src/entry.py": WAITING, "src/late.py": "TEXT = 'late'"}
    assert bench.run(files, test).status == 200


def test_stop_cancels_what_still_runs_after_the_grace_time(bench: Bench) -> None:
    async def test(host: PythonHost) -> None:
        running = asyncio.create_task(fetch(host, get("/wait")))
        await asyncio.sleep(0)
        await host.stop(0.001)
        with pytest.raises(asyncio.CancelledError):
            await running

    bench.run(WAITING, test)


def test_a_handler_that_raises_a_cancellation_of_its_own_has_failed(bench: Bench) -> None:
    result = queue_result(bench, "raise asyncio.CancelledError('mine')", 1)
    assert (result.outcome, result.error) == ("exception", "asyncio.exceptions.CancelledError: mine")


def test_what_a_handler_has_decided_can_be_seen_while_it_runs(bench: Bench) -> None:
    async def converse(host: PythonHost) -> Verdict:
        given = delivery(2)
        running = asyncio.ensure_future(deliver(host, given))
        await asyncio.sleep(0)
        seen = given.so_far()
        running.cancel()
        await asyncio.wait((running,))
        return seen

    source = """
        import asyncio

        async def on_queue(batch):
            batch.messages[0].ack()
            await asyncio.sleep(3600)
    """
    seen = bench.run(source, converse)
    assert len(seen.explicit_acks) == 1


def test_an_exit_in_wait_until_work_is_an_error_and_not_the_end(bench: Bench) -> None:
    result = queue_result(bench, "async def work():\n    raise SystemExit(3)\nctx.waitUntil(work())", 1)
    assert (result.outcome, result.error) == ("exception", "RuntimeError: sys.exit(3) in waitUntil work")


def test_a_response_whose_body_was_used_is_an_error(bench: Bench) -> None:
    source = """
        from workers import Response

        async def fetch(request):
            response = Response("once")
            await response.text()
            return response
    """
    with pytest.raises(HandlerError, match="Body already used"):
        bench.run(source, lambda host: fetch(host, Request("http://localhost/")))


def test_old_code_stays_in_service_while_new_code_is_only_tried(bench: Bench) -> None:
    good = "from workers import Response\ndef on_fetch(request): return Response('old')"

    async def test(host: PythonHost) -> None:
        bench.write({"src/entry.py": "def on_fetch("})
        failure = await host.try_reload(bench.config)
        assert failure is not None
        assert failure.type == "SyntaxError"
        assert host.failure is None
        assert await (await fetch(host, get())).text() == "old"
        host.fail(failure)
        assert host.failure is failure
        with pytest.raises(NotLoaded):
            await fetch(host, get())
        bench.write({"src/entry.py": good.replace("old", "new")})
        assert await host.try_reload(bench.config) is None
        assert await (await fetch(host, get())).text() == "new"

    bench.run(good, test)


def test_a_worker_rewrites_html_and_its_handlers_print_and_see_env(bench: Bench) -> None:
    source = """\
        from js import HTMLRewriter
        from pyodide.ffi import create_proxy
        from workers import Response, WorkerEntrypoint, env

        class Link:
            async def element(self, element):
                print("rewriting", element.getAttribute("href"))
                element.setAttribute("href", "/" + env.GREETING)

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                page = Response("<a href=x>there</a>", headers={"content-type": "text/html"})
                return HTMLRewriter.new().on("a[href]", create_proxy(Link())).transform(page.js_object)
        """
    lines: list[str] = []
    bench.bus.subscribe(WorkerOutput, lambda event: lines.append(event.text))

    async def rewritten(host: PythonHost) -> str:
        restore = install(bench.bus)
        answer = await (await fetch(host, get())).text()
        restore()
        return answer

    assert bench.run(source, rewritten) == '<a href="/hello">there</a>'
    assert lines == ["rewriting x"]
