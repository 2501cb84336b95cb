"""The results of `fetch` handlers: streams whose code still belongs to the invocation, and errors about results that
are not responses."""

from __future__ import annotations

import linecache
from collections.abc import AsyncIterator, Callable
from types import CoroutineType
from typing import Any

from emulator.base.failure import Failure, Frame, plain_name
from emulator.base.words import shown_path
from emulator.config.model import WorkerConfig
from emulator.hosts.python.entrypoints import Handler
from emulator.hosts.python.failures import DescribedError
from emulator_runtime.hosting import Invocation, close_source, current


class InvocationStream:
    """The body of an answer, produced by worker code after its handler has returned."""

    __slots__ = ("__weakref__", "_ended", "_invocation", "_source", "length")

    def __init__(
        self, source: AsyncIterator[bytes], invocation: Invocation, ended: Callable[[Exception | None], None]
    ) -> None:
        self.length: int | None = getattr(source, "length", None)
        self._source = source
        self._invocation = invocation
        self._ended: Callable[[Exception | None], None] | None = ended

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        token = current.set(self._invocation)
        try:
            return await self._source.__anext__()
        except StopAsyncIteration:
            self._end(None)
            raise
        except Exception as error:
            self._end(error)
            raise
        finally:
            current.reset(token)

    async def aclose(self) -> None:
        """Stop reading; worker code sees that its generator is closed."""
        token = current.set(self._invocation)
        try:
            await close_source(self._source)
        finally:
            current.reset(token)
            self._end(None)

    def __del__(self) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(error)


def not_a_response(value: Any, handler: Handler, config: WorkerConfig) -> DescribedError:
    """The error about a `fetch` handler that returned something else, with the place of the handler."""
    hint = ""
    if value is None:
        hint = "; is a return missing?"
    elif isinstance(value, (str, bytes)):
        hint = "; did you mean Response(...)?"
    elif isinstance(value, (dict, list)):
        hint = "; did you mean Response.json(...)?"
    elif isinstance(value, CoroutineType):
        value.close()
        hint = "; is an await missing?"
    kind = "None" if value is None else plain_name(f"{type(value).__module__}.").removeprefix("builtins.")
    if value is not None:
        kind += type(value).__qualname__
    return wrong_answer(f"must return a Response, not {kind}{hint}", handler, config)


def wrong_answer(what: str, handler: Handler, config: WorkerConfig) -> DescribedError:
    """The error about what a handler has returned, with its place. `what` goes on from the name of the handler."""
    place = f"{shown_path(handler.file, config.path.parent)}:{handler.line}"
    message = f"{handler.name} ({place}) {what}"
    lines = linecache.getlines(handler.file)
    code = lines[handler.line - 1].strip() if 0 < handler.line <= len(lines) else ""
    frame = Frame(handler.file, handler.line, handler.name, code, is_user=True, source=lines)
    text = f'File "{handler.file}", line {handler.line}, in {handler.name}\n    {code}\nTypeError: {message}'
    return DescribedError(Failure("TypeError", message, (frame,), text))
