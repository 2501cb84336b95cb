"""The names of `workers` that follow the running invocation, and those that are not emulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from emulator_runtime import invocation, workers
from emulator_runtime.errors import NotEmulatedError
from emulator_runtime.invocation import Invocation, Scope


class Env:
    GREETING = "hello"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"env.{name} is not declared")


class Outbound:
    def __init__(self) -> None:
        self.requests: list[workers.Request] = []

    async def __call__(self, request: workers.Request) -> workers.Response:
        self.requests.append(request)
        return workers.Response.from_json({"url": request.url})


@contextmanager
def invoked(outbound: Outbound | None = None) -> Iterator[None]:
    """What is run within is run as a worker's."""
    token = invocation.current.set(Invocation(Scope("worker", Env(), outbound or Outbound()), None))
    try:
        yield
    finally:
        invocation.current.reset(token)


async def test_fetch_sends_a_request_by_the_way_out_of_the_scope() -> None:
    outbound = Outbound()

    with invoked(outbound):
        answer = await workers.fetch("https://example.com/a", method="POST", body="x", headers={"x-a": "1"})
        assert await answer.json() == {"url": "https://example.com/a"}
        await workers.fetch(workers.Request("https://example.com/b"))
    first, second = outbound.requests
    assert (first.method, first.headers["x-a"]) == ("POST", "1")
    assert second.url == "https://example.com/b"


async def test_fetch_outside_of_an_invocation_is_a_runtime_error() -> None:
    with pytest.raises(RuntimeError, match=r"fetch\(\) can only be used while a worker runs"):
        await workers.fetch("https://example.com")


async def test_fetch_of_a_websockets_address_says_which_one_to_use() -> None:
    with pytest.raises(TypeError, match=r"cannot load: wss://example.com/; a WebSocket has an address with http:"):
        await workers.fetch("wss://example.com/", headers={"Upgrade": "websocket"})


async def test_fetch_of_a_relative_url_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises(TypeError, match="Invalid URL"):
        await workers.fetch("/path")


def test_env_follows_the_invocation_and_passes_its_errors_on() -> None:
    with invoked():
        assert workers.env.GREETING == "hello"
        assert "GREETING" in workers.env
        assert "QUEUE" not in workers.env
        assert workers.env["GREETING"] == "hello"
        with pytest.raises(AttributeError, match=r"env.QUEUE is not declared"):
            workers.env.QUEUE  # noqa: B018
        with pytest.raises(KeyError):
            workers.env["QUEUE"]
        assert "GREETING" in dir(workers.env)
    with pytest.raises(RuntimeError, match=r"workers.env can only be used while a worker runs"):
        workers.env.GREETING  # noqa: B018
    assert "outside any invocation" in repr(workers.env)


def test_patch_env_changes_env_for_a_block() -> None:
    with invoked():
        with workers.patch_env({"A": 1}, B=2):
            assert (workers.env.A, workers.env.B, workers.env.GREETING) == (1, 2, "hello")
            with workers.patch_env([("A", 3)]):
                assert (workers.env.A, workers.env.B) == (3, 2)
            assert workers.env.A == 1
        assert "A" not in workers.env


async def test_wait_until_hands_work_to_the_context() -> None:
    done: list[str] = []

    async def work(name: str) -> None:
        done.append(name)

    with invoked():
        workers.wait_until(work("a"))
        workers.waitUntil(work("b"))
        for task in invocation.current.get().context.take_tasks():
            await task
    assert done == ["a", "b"]


def test_a_worker_entrypoint_has_ctx_and_env() -> None:
    class Default(workers.WorkerEntrypoint):
        pass

    ctx, env = invocation.Context(), object()
    entrypoint = Default(ctx, env)
    assert entrypoint.ctx is ctx
    assert entrypoint.env is env


@pytest.mark.parametrize(
    ("base", "name"), [(workers.DurableObject, "Durable Objects"), (workers.WorkflowEntrypoint, "Workflows")]
)
def test_what_is_not_emulated_can_be_declared_and_says_so_when_made(base: type, name: str) -> None:
    declared = type("Counter", (base,), {})
    with pytest.raises(NotEmulatedError, match=rf"{name} \(Counter\) is not emulated yet"):
        declared(SimpleNamespace(), SimpleNamespace())


def test_handler_leaves_a_function_as_it_is() -> None:
    async def on_fetch(request: object, env: object) -> None: ...

    assert workers.handler(on_fetch) is on_fetch


def test_rpc_conversions() -> None:
    assert workers.python_from_rpc({"a": {"b": 1}}).a.b == 1
    assert workers.python_to_rpc([{"a": 1}, None]) == [{"a": 1}, None]
    for value in ((1, 2), {"a": bytearray(b"x")}, [(1,)]):
        with pytest.raises(TypeError, match="cannot be sent over RPC"):
            workers.python_to_rpc(value)


def test_import_from_javascript_gives_cloudflare_workers() -> None:
    module = workers.import_from_javascript("cloudflare:workers")
    assert module.env is workers.env
    assert module.WorkerEntrypoint is workers.WorkerEntrypoint
    with pytest.raises(NotEmulatedError, match="'cloudflare:sockets' is not emulated yet"):
        workers.import_from_javascript("cloudflare:sockets")


def test_every_name_that_workers_promises_is_there() -> None:
    for name in workers.__all__:
        assert hasattr(workers, name)
    assert workers.asgi.fetch
    with pytest.raises(AttributeError, match="'workers' has no attribute 'Nonsense'"):
        workers.Nonsense  # noqa: B018
    from emulator_runtime.workers import wsgi

    assert workers.wsgi is wsgi
