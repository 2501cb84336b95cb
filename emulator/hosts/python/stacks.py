"""Lets plain functions of worker code wait for an awaitable: `run_sync`, `loop.run_until_complete` and `asyncio.run`
inside a handler. Production switches stacks for this, and so do greenlets here.

A coroutine of such a worker runs on a stack of its own, one step after the other, in its usual task and context.
`run_sync` on this stack leaves it in the middle of a function, and comes back to it with the result; to the event loop
that is a step like any other, so that everything else runs meanwhile, and cancellation and exceptions take their usual
way. That costs a worker about 2 µs an invocation, so only workers that need it have `Stacks`.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Mapping
from contextvars import Context
from threading import get_ident
from types import CoroutineType
from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet
from msgspec.structs import replace

from emulator.hosts.python.entrypoints import Call, Handler
from emulator_runtime.hosting import Invocation, Scope, close_source, current

_KEPT: Final = 64
"""How many stacks are kept to be used again: making one takes ten times as long as using it."""

_patched: dict[asyncio.AbstractEventLoop, _LoopPatch] = {}


class Stacks:
    """The stacks of one version of a worker, by its `scope`. What has begun on a thread goes on on the same one.
    Close it when the last invocation of the version has ended."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._free: list[_Stack] = []
        self._thread = get_ident()
        self._loop = asyncio.get_running_loop()
        patch = _patched.get(self._loop)
        if patch is None:
            patch = _patched[self._loop] = _LoopPatch(self._loop)
        self._patch = patch
        patch.users[scope] = self

    def close(self) -> None:
        self._free.clear()
        self._patch.users.pop(self._scope, None)
        if not self._patch.users and _patched.pop(self._loop, None) is not None:
            self._patch.undo()

    def handlers(self, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
        """The same handlers, each of whose calls has a stack of its own."""
        return {event: replace(handler, call=self._switched(handler.call)) for event, handler in handlers.items()}

    def _switched(self, call: Call) -> Call:
        async def finished(trigger: Any, ctx: Any) -> Any:
            returned = call(trigger, ctx)
            return await returned if hasattr(returned, "__await__") else returned

        return lambda trigger, ctx: self.run(finished(trigger, ctx))

    async def run(self, coroutine: Coroutine[Any, Any, Any], context: Context | None = None) -> Any:
        """The result of `coroutine`, which runs on a stack of its own, in `context` or in the caller's."""
        return await self._steps(coroutine, context)

    def stream(self, source: AsyncIterator[bytes], invocation: Invocation) -> AsyncIterator[bytes]:
        """The same stream; what makes its chunks runs as part of `invocation`, on a stack of its own, and in the
        caller's context: in that of the handler, so that it can undo there what the handler did."""
        return _Stream(self, source, invocation, getcurrent().gr_context)

    def run_sync(self, awaitable: Awaitable[Any]) -> Any:
        """The result of `awaitable`, for which the stack that this is called on waits. Raises `RuntimeError` where the
        caller has no stack of its own."""
        return _run_sync(awaitable)

    def can_run_sync(self) -> bool:
        """Whether the caller has a stack of its own."""
        return _is_on_a_stack()

    @types.coroutine
    def _steps(self, coroutine: Coroutine[Any, Any, Any], context: Context | None) -> Generator[Any, Any, Any]:
        if self._thread != get_ident():  # the testing kit opens a session on one thread and runs it on another
            self._thread = get_ident()
            self._free = []
        stack = self._free.pop() if self._free else _Stack()
        stack.gr_context = getcurrent().gr_context if context is None else context
        stack.is_done = False
        resume: Callable[..., Any] = stack.switch
        value: Any = coroutine
        while True:
            stack.caller = getcurrent()
            yielded = resume(value)
            if stack.is_done:
                break
            try:
                value = yield yielded
                resume = stack.switch
            except BaseException as error:
                value = error
                resume = stack.throw
        result, failure = stack.result, stack.failure
        stack.result = stack.failure = stack.gr_context = None
        if len(self._free) < _KEPT:
            self._free.append(stack)
        if failure is None:
            return result
        try:
            raise failure
        finally:
            del failure, value  # they would be part of a cycle with this frame


class _Stack(greenlet):  # type: ignore[misc]
    """A stack, on which one coroutine after the other runs. `caller` is where it was called or resumed from."""

    caller: greenlet
    is_done = False
    result: Any = None
    failure: BaseException | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        while True:
            try:
                self.result = self.wait_for(coroutine)
            except GreenletExit:  # nobody needs this stack any more
                raise
            except BaseException as error:
                self.failure = error
            del coroutine
            self.is_done = True
            coroutine = self.caller.switch()

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of `coroutine`. Leaves this stack where it has to wait. Only called on this stack."""
        step: Callable[[Any], Any] = coroutine.send
        value: Any = None
        while True:
            try:
                yielded = step(value)
            except StopIteration as stop:
                return stop.value
            try:
                value = self.caller.switch(yielded)
                step = coroutine.send
            except BaseException as error:
                value = error
                step = coroutine.throw


class _Stream:
    """A stream each of whose chunks is made on a stack."""

    __slots__ = ("_context", "_invocation", "_source", "_stacks", "length")

    def __init__(
        self, stacks: Stacks, source: AsyncIterator[bytes], invocation: Invocation, context: Context | None
    ) -> None:
        self.length: int | None = getattr(source, "length", None)
        self._stacks = stacks
        self._source = source
        self._invocation = invocation
        self._context = context

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk: bytes = await self._run(self._source.__anext__())
        return chunk

    async def aclose(self) -> None:
        await self._run(close_source(self._source))

    async def _run(self, work: Awaitable[Any]) -> Any:
        async def within() -> Any:
            token = current.set(self._invocation)
            try:
                return await work
            finally:
                current.reset(token)

        return await self._stacks.run(within(), self._context)


class _LoopPatch:
    """What an event loop does otherwise while there are workers with stacks: the tasks that they make have stacks too,
    and `loop.run_until_complete` and `asyncio.run` in them are `run_sync`. `users` are the stacks by scope."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.users: dict[Scope, Stacks] = {}
        self._loop = loop
        self._task_factory = loop.get_task_factory()
        loop.set_task_factory(self._make_task)
        self._run_until_complete = loop.run_until_complete
        loop.run_until_complete = self._wait_for  # type: ignore[method-assign]
        if not isinstance(asyncio.run, _Run):
            asyncio.run = _Run(asyncio.run)

    def undo(self) -> None:
        if self._loop.get_task_factory() == self._make_task:
            self._loop.set_task_factory(self._task_factory)
        vars(self._loop).pop("run_until_complete", None)
        if not _patched and isinstance(asyncio.run, _Run):
            asyncio.run = asyncio.run.original

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        make: Callable[..., Any] = self._task_factory or _plain_task
        invocation = current.get(None)
        stacks = None if invocation is None else self.users.get(invocation.scope)
        if stacks is None:
            return make(loop, coroutine, **options)
        task = make(loop, stacks.run(coroutine), **options)
        task.add_done_callback(lambda _task: coroutine.close())  # which has not begun, if the task was cancelled before
        return task

    def _wait_for(self, future: Any) -> Any:
        return _run_sync(future) if _is_on_a_stack() else self._run_until_complete(future)


def _plain_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=loop, **options)


class _Run:
    """Replaces `asyncio.run`."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original

    def __call__(self, main: Any, **options: Any) -> Any:
        return _run_sync(main) if _is_on_a_stack() else self.original(main, **options)


def _run_sync(awaitable: Awaitable[Any]) -> Any:
    stack = getcurrent()
    coroutine = awaitable if type(awaitable) is CoroutineType else _awaited(awaitable)
    if isinstance(stack, _Stack):
        return stack.wait_for(coroutine)
    coroutine.close()
    raise RuntimeError(
        "Cannot stack switch: when this invocation began, nothing had told the emulator that the worker waits in plain "
        "functions; from now on it can. Write from pyodide.ffi import run_sync in a module that main imports"
    )


def _is_on_a_stack() -> bool:
    return isinstance(getcurrent(), _Stack)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
