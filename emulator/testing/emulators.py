"""`Emulator` and `AsyncEmulator`: the same names over one core, called or awaited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from emulator.base.errors import EmulatorError
from emulator.base.words import count
from emulator.bindings.queue.kit_values import Delivery, Message, QueueResult, at_time
from emulator.bindings.registry import KINDS
from emulator.storage.state import Snapshot
from emulator.testing.chaos import Chaos
from emulator.testing.configuration import Paths, from_code, from_files
from emulator.testing.core import IDLE_LIMIT, Core, Opening, keep_sources, on_thread, random_seed
from emulator.testing.outbound import Outbound
from emulator.wire.codec import ContentType

if TYPE_CHECKING:
    from email.message import Message as PythonMessage
    from types import TracebackType
    from typing import TypeAlias

    import httpx

    from emulator.bindings.email.incoming import IncomingEmail
    from emulator.bindings.kit import Accessor
    from emulator.bindings.registry import AccessorTypes, AsyncAccessorTypes
    from emulator.config.model import JSON
    from emulator.dashboard.rows import MessageRow
    from emulator.dashboard.story import MessageStory, RequestStory
    from emulator.testing.websocket import AsyncClientWebSocket, ClientWebSocket

    Mime: TypeAlias = bytes | str | PythonMessage
else:
    AccessorTypes = AsyncAccessorTypes = object


class _Base:
    """What both have: how they are made, and what can be looked at without running anything."""

    def __init__(
        self,
        config: Paths | None = None,
        *,
        env: str | None = None,
        main: str | Path | None = None,
        name: str = "worker",
        queues: Mapping[str, Any] | None = None,
        vars: Mapping[str, JSON] | None = None,  # noqa: A002 - the key of wrangler.jsonc
        secrets: Mapping[str, str] | None = None,
        bindings: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        raise_errors: bool = True,
        real_time: bool = False,
        chaos: Chaos | None = None,
        crons: bool = True,
        locals: bool = True,  # noqa: A002 - as in `emulator dev --no-locals`
        state: str | Path | None = None,
    ) -> None:
        """Run the workers of `config` (a path, several, or None for `wrangler.jsonc` in the working directory), with
        the settings of environment `env`.

        Or, with `main`, one worker called `name`: the path of its module, or its code; `queues` and further `settings`
        are as in `wrangler.jsonc`. `vars`, `secrets` and `bindings` come over what is configured; a binding may be any
        object. With `raise_errors` an exception of worker code is raised in the test, else it is a 500. `real_time`
        runs on the clock on the wall. Without `crons`, time passes over them and they do not run.
        Without `locals`, no report shows the local variables of worker code that failed.
        `state` is a file that `emulator state export` has written: what bindings keep in the beginning.
        """
        variables, hidden = dict(vars or {}), dict(secrets or {})
        self._cleanup = ExitStack()
        if main is None:
            if queues is not None or settings is not None:
                raise EmulatorError("queues= and settings= belong to main=; a configuration file has its own")
            read = from_files(config, environment=env, variables=variables, secrets=hidden)
        elif config is not None or env is not None:
            raise EmulatorError("main= gives the worker in code; config= and env= cannot be combined with it")
        else:
            read = from_code(
                main,
                name=name,
                queues=queues,
                variables=variables,
                secrets=hidden,
                settings=settings or {},
                cleanup=self._cleanup,
            )
        self._settings = Opening(
            read, bindings or {}, raise_errors, real_time, chaos, crons, locals, None if state is None else Path(state)
        )
        self._opened: Core | None = None

    @property
    def _core(self) -> Core:
        __tracebackhide__ = True
        if self._opened is None:
            name = type(self).__name__
            raise EmulatorError(f"this {name} is not open", hint=f"use `with {name}(...) as emulator:`, or the fixture")
        return self._opened

    def _open(self) -> None:
        __tracebackhide__ = True
        if self._opened is not None and not self._opened.closed:
            raise EmulatorError(f"this {type(self).__name__} is already open")
        try:
            self._opened = Core(self._settings)
        except BaseException:
            self._cleanup.close()
            raise

    def _close(self) -> None:
        __tracebackhide__ = True
        with self._cleanup:
            if self._opened is not None:
                self._opened.close()

    def _closed(self, error: BaseException | None = None) -> None:
        """After closing: fail for what worker code fetched since the last call, unless the test has failed with `error`
        anyway."""
        __tracebackhide__ = True
        if error is not None:
            keep_sources(error)
        elif self._opened is not None:
            self._opened.check_fetches()

    def __repr__(self) -> str:
        name, core = type(self).__name__, self._opened
        if core is None or core.closed:
            return f"<{name} {'not open' if core is None else 'closed'}>"
        workers = ", ".join(host.config.name for host in core.session.hosts)
        made = count(len(core.deliveries), "delivery", "deliveries")
        return f"<{name} {workers} at {self.now:%Y-%m-%d %H:%M:%S}, {made}>"

    @property
    def now(self) -> datetime:
        """The virtual time, in UTC. A test begins on 2027-01-15 at 08:00:00."""
        return at_time(self._core.loop.time())

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """Every delivery so far, of all queues, oldest first."""
        return tuple(self._core.deliveries)

    @property
    def queues(self) -> Sequence[str]:
        """The names of the queues."""
        return list(self._core.queues.states)

    @property
    def outbound(self) -> Outbound:
        """Doubles for the outside world: what answers the worker's outgoing `fetch()`, and the calls it has made."""
        return self._core.outbound

    @property
    def timeline(self) -> str:
        """What has happened so far, a line an event, with virtual times."""
        return self._core.timeline.render()

    def why(self, message: Message | str) -> MessageStory:
        """What happened to a message, given as one or by its id or the first digits of that, and why it is where it is;
        `print` shows it. Raises EmulatorError if there is no such message."""
        __tracebackhide__ = True
        return self._core.why(message if isinstance(message, str) else message.id)

    def messages(self, filter: str = "") -> list[MessageRow]:  # noqa: A002 - what it is called everywhere
        """The messages that a filter means, such as `state:dead attempts>2`: those in the queues, of each at most
        20,000, and then those that have left them, newest first. Raises ValueError, which says where, for a filter that
        cannot be read."""
        __tracebackhide__ = True
        return self._core.messages_by(filter)

    def requests(self, filter: str = "") -> list[RequestStory]:  # noqa: A002 - what it is called everywhere
        """The requests that were answered, and the crons and e-mails that were handled, which a filter means, such as
        `status>=500`, newest first. Raises ValueError, which says where, for a filter that cannot be read."""
        __tracebackhide__ = True
        return self._core.requests_by(filter)

    if not TYPE_CHECKING:  # type checkers find these in Accessors and AsyncAccessors

        def __getattr__(self, name: str) -> Any:
            """What a binding kind adds, such as `queue`."""
            __tracebackhide__ = True
            accessor = None if name.startswith("_") else _accessors().get(name)
            if accessor is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            return partial(getattr(accessor, self._form), self._core)

        def __dir__(self) -> list[str]:
            return [*super().__dir__(), *_accessors()]

    def override(self, worker: str | None = None, /, **bindings: Any) -> None:
        """Put bindings (vars, secrets, doubles of any kind) into `env`, of all workers or of one, from here on."""
        __tracebackhide__ = True
        self._core.override(worker, bindings)

    def chaos(
        self,
        seed: int | None = None,
        *,
        duplicate: float = 0.2,
        reorder: float = 0.5,
        delay: float = 0.2,
        drop_ack: float = 0.2,
    ) -> int:
        """Deliver as an at-least-once service may, from here on: see `Chaos`. Each is a probability from 0 to 1.

        Everything follows from `seed`, which is random unless given. Returns it; the report of a failing test shows it.
        """
        __tracebackhide__ = True
        chosen = random_seed() if seed is None else seed
        self._core.set_chaos(Chaos(chosen, duplicate, reorder, delay, drop_ack))
        return chosen


def _accessors() -> dict[str, Accessor]:
    """What the binding kinds add to an emulator, by name."""
    return {accessor.name: accessor for kind in KINDS if (accessor := kind.accessor()) is not None}


class Emulator(_Base, AccessorTypes):
    """Workers under test, in this process and in virtual time. Use it in a `with` block; the fixture `emulator` is one.

    Time stands still unless it is moved: by `advance` and `run_until_idle`, or because a request waits for it.
    """

    _form = "synchronous"
    _client: httpx.Client | None = None

    def __enter__(self) -> Self:
        __tracebackhide__ = True
        self._open()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        _note_failure(self._opened, error)
        self._end(error)

    def close(self) -> None:
        """End it. What still runs is cancelled. Raises AssertionError when worker code has fetched what no route
        answers, and the test could not be told."""
        __tracebackhide__ = True
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        if self._client is not None:
            self._client.close()
            self._client = None
        self._close()
        self._closed(error)

    @property
    def client(self) -> httpx.Client:
        """A real httpx client whose requests go to the workers: `http://localhost` is the first one, and
        `http://NAME.localhost` each. It keeps cookies; redirects are not followed unless asked for."""
        __tracebackhide__ = True
        core = self._core
        if self._client is None:
            from emulator.base.quiet import quiet
            from emulator.testing.transport import Client

            self._client = quiet(Client(core))
        return self._client

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request and return its answer; options are those of httpx (`json=`, `data=`, `headers=`, ...)."""
        __tracebackhide__ = True
        return self.client.request(method, url, **options)

    def get(self, url: str, **options: Any) -> httpx.Response:
        """GET `url`."""
        __tracebackhide__ = True
        return self.client.get(url, **options)

    def head(self, url: str, **options: Any) -> httpx.Response:
        """HEAD `url`."""
        __tracebackhide__ = True
        return self.client.head(url, **options)

    def options(self, url: str, **options: Any) -> httpx.Response:
        """OPTIONS `url`."""
        __tracebackhide__ = True
        return self.client.options(url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        """POST to `url`."""
        __tracebackhide__ = True
        return self.client.post(url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        """PUT to `url`."""
        __tracebackhide__ = True
        return self.client.put(url, **options)

    def patch(self, url: str, **options: Any) -> httpx.Response:
        """PATCH `url`."""
        __tracebackhide__ = True
        return self.client.patch(url, **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        """DELETE `url`."""
        __tracebackhide__ = True
        return self.client.delete(url, **options)

    def websocket(
        self, url: str, *, headers: Mapping[str, str] | None = None, protocols: Sequence[str] = ()
    ) -> ClientWebSocket:
        """A WebSocket to a Python worker, for a `with` block, which raises WebSocketRefused if it is not taken. `url`
        is as of the other requests; the worker chooses one of `protocols`."""
        __tracebackhide__ = True
        from emulator.testing.websocket import ClientWebSocket, Conversation, request_for

        conversation = Conversation(self._core, request_for(self.client, url, headers, protocols))
        return ClientWebSocket(conversation)

    def snapshot(self) -> Snapshot:
        """What bindings keep now, to be given to `restore`."""
        __tracebackhide__ = True
        return self._core.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Let bindings keep what they did at that moment, in this emulator or in another one."""
        __tracebackhide__ = True
        self._core.restore(snapshot)

    def advance(self, seconds: float = 0.0) -> list[Delivery]:
        """Move time by `seconds`, running all that falls due on the way in order. Returns the deliveries that were
        settled since the last call of this or `run_until_idle`."""
        __tracebackhide__ = True
        return self._core.advance(seconds)

    def run_until_idle(self, limit: int = IDLE_LIMIT) -> list[Delivery]:
        """Jump from deadline to deadline until nothing is due. Returns the deliveries as `advance` does. Raises
        EmulatorError with an account of them when there are more than `limit`."""
        __tracebackhide__ = True
        return self._core.run_until_idle(limit)

    def dispatch_fetch(self, url: str, method: str = "GET", **options: Any) -> httpx.Response:
        """Send one request past the client's cookies and redirects. A path goes to the first worker."""
        __tracebackhide__ = True
        from emulator.testing.transport import Client

        with Client(self._core) as client:
            return client.request(method, url, **options)

    def dispatch_queue(self, queue: str, messages: Iterable[Any], *, content_type: ContentType = "json") -> QueueResult:
        """Run the consumer of `queue` once, outside of its queue, on bodies or on what `message()` makes. Returns what
        the handler decided; one that raises is an outcome."""
        __tracebackhide__ = True
        return self._core.dispatch_queue(queue, messages, content_type)

    def dispatch_scheduled(self, cron: str = "", time: datetime | None = None, *, worker: str | None = None) -> None:
        """Run the `scheduled` handler of the first worker, or of `worker`, as if `cron` had fired at `time` (now)."""
        __tracebackhide__ = True
        self._core.dispatch_scheduled(cron, (time or self.now).timestamp(), worker)

    def dispatch_email(
        self, message: Mime, *, sender: str | None = None, to: str | None = None, worker: str | None = None
    ) -> IncomingEmail:
        """Run the `email` handler of the first worker, or of `worker`, with a message: MIME as bytes or text, or an
        EmailMessage of Python's library. It is from `sender` and for `to`, else from and for whom its headers say.
        Returns it, with `rejected`, `forwards` and `replies`."""
        __tracebackhide__ = True
        return self._core.dispatch_email(*_envelope(message, sender, to), worker)


class AsyncEmulator(_Base, AsyncAccessorTypes):
    """Workers under test, for async tests, under asyncio or anything else that anyio supports. Use it in an `async
    with` block; the fixture `async_emulator` is one.

    The workers run on an event loop of their own, in virtual time, on a thread of their own while something is
    awaited. What is asked for at the same time is done one after the other. What only looks is not awaited.
    """

    _form = "asynchronous"
    _client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        __tracebackhide__ = True
        await on_thread(self._open)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        _note_failure(self._opened, error)
        await self._end(error)

    async def close(self) -> None:
        """End it. What still runs is cancelled. Raises AssertionError when worker code has fetched what no route
        answers, and the test could not be told."""
        __tracebackhide__ = True
        await self._end(None)

    async def _end(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        if self._client is not None:
            await self._client.aclose()
            self._client = None
        if self._opened is None:
            self._close()
        else:
            await self._opened.on_thread(self._close)
            self._opened.end_thread()
        self._closed(error)

    @property
    def client(self) -> httpx.AsyncClient:
        """A real httpx client whose requests go to the workers: `http://localhost` is the first one, and
        `http://NAME.localhost` each. It keeps cookies; redirects are not followed unless asked for."""
        __tracebackhide__ = True
        core = self._core
        if self._client is None:
            from emulator.base.quiet import quiet
            from emulator.testing.transport import AsyncClient

            self._client = quiet(AsyncClient(core))
        return self._client

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request and return its answer; options are those of httpx (`json=`, `data=`, `headers=`, ...)."""
        __tracebackhide__ = True
        return await self.client.request(method, url, **options)

    async def get(self, url: str, **options: Any) -> httpx.Response:
        """GET `url`."""
        __tracebackhide__ = True
        return await self.client.get(url, **options)

    async def head(self, url: str, **options: Any) -> httpx.Response:
        """HEAD `url`."""
        __tracebackhide__ = True
        return await self.client.head(url, **options)

    async def options(self, url: str, **options: Any) -> httpx.Response:
        """OPTIONS `url`."""
        __tracebackhide__ = True
        return await self.client.options(url, **options)

    async def post(self, url: str, **options: Any) -> httpx.Response:
        """POST to `url`."""
        __tracebackhide__ = True
        return await self.client.post(url, **options)

    async def put(self, url: str, **options: Any) -> httpx.Response:
        """PUT to `url`."""
        __tracebackhide__ = True
        return await self.client.put(url, **options)

    async def patch(self, url: str, **options: Any) -> httpx.Response:
        """PATCH `url`."""
        __tracebackhide__ = True
        return await self.client.patch(url, **options)

    async def delete(self, url: str, **options: Any) -> httpx.Response:
        """DELETE `url`."""
        __tracebackhide__ = True
        return await self.client.delete(url, **options)

    def websocket(
        self, url: str, *, headers: Mapping[str, str] | None = None, protocols: Sequence[str] = ()
    ) -> AsyncClientWebSocket:
        """A WebSocket to a Python worker, for an `async with` block, which raises WebSocketRefused if it is not taken.
        `url` is as of the other requests; the worker chooses one of `protocols`."""
        __tracebackhide__ = True
        from emulator.testing.websocket import AsyncClientWebSocket, Conversation, request_for

        conversation = Conversation(self._core, request_for(self.client, url, headers, protocols))
        return AsyncClientWebSocket(self._core, conversation)

    async def snapshot(self) -> Snapshot:
        """What bindings keep now, to be given to `restore`."""
        __tracebackhide__ = True
        return await self._core.on_thread(self._core.snapshot)

    async def restore(self, snapshot: Snapshot) -> None:
        """Let bindings keep what they did at that moment, in this emulator or in another one."""
        __tracebackhide__ = True
        await self._core.on_thread(self._core.restore, snapshot)

    async def advance(self, seconds: float = 0.0) -> list[Delivery]:
        """Move time by `seconds`, running all that falls due on the way in order. Returns the deliveries that were
        settled since the last call of this or `run_until_idle`."""
        __tracebackhide__ = True
        return await self._core.on_thread(self._core.advance, seconds)

    async def run_until_idle(self, limit: int = IDLE_LIMIT) -> list[Delivery]:
        """Jump from deadline to deadline until nothing is due. Returns the deliveries as `advance` does. Raises
        EmulatorError with an account of them when there are more than `limit`."""
        __tracebackhide__ = True
        return await self._core.on_thread(self._core.run_until_idle, limit)

    async def dispatch_fetch(self, url: str, method: str = "GET", **options: Any) -> httpx.Response:
        """Send one request past the client's cookies and redirects. A path goes to the first worker."""
        __tracebackhide__ = True
        from emulator.testing.transport import AsyncClient

        async with AsyncClient(self._core) as client:
            return await client.request(method, url, **options)

    async def dispatch_queue(
        self, queue: str, messages: Iterable[Any], *, content_type: ContentType = "json"
    ) -> QueueResult:
        """Run the consumer of `queue` once, outside of its queue, on bodies or on what `message()` makes. Returns what
        the handler decided; one that raises is an outcome."""
        __tracebackhide__ = True
        return await self._core.on_thread(self._core.dispatch_queue, queue, messages, content_type)

    async def dispatch_scheduled(
        self, cron: str = "", time: datetime | None = None, *, worker: str | None = None
    ) -> None:
        """Run the `scheduled` handler of the first worker, or of `worker`, as if `cron` had fired at `time` (now)."""
        __tracebackhide__ = True
        await self._core.on_thread(self._core.dispatch_scheduled, cron, (time or self.now).timestamp(), worker)

    async def dispatch_email(
        self, message: Mime, *, sender: str | None = None, to: str | None = None, worker: str | None = None
    ) -> IncomingEmail:
        """Run the `email` handler of the first worker, or of `worker`, with a message: MIME as bytes or text, or an
        EmailMessage of Python's library. It is from `sender` and for `to`, else from and for whom its headers say.
        Returns it, with `rejected`, `forwards` and `replies`."""
        __tracebackhide__ = True
        return await self._core.on_thread(self._core.dispatch_email, *_envelope(message, sender, to), worker)


def _envelope(message: Mime, sender: str | None, to: str | None) -> tuple[bytes, str, str]:
    """A message as bytes, with whom it is from and for."""
    from email import message_from_bytes  # few tests send mail
    from email.utils import parseaddr

    raw = message if isinstance(message, bytes) else (message if isinstance(message, str) else str(message)).encode()
    headers = message_from_bytes(raw)
    return raw, sender or parseaddr(headers["from"] or "")[1], to or parseaddr(headers["to"] or "")[1]


@contextmanager
def opened(**arguments: Any) -> Iterator[AsyncEmulator]:
    """An AsyncEmulator that is opened and closed where nothing can be awaited, as in a fixture."""
    emulator = AsyncEmulator(**arguments)
    emulator._open()  # noqa: SLF001 - its own module
    try:
        yield emulator
    finally:
        core = emulator._core  # noqa: SLF001
        core.call_on_thread(emulator._close)  # noqa: SLF001
        core.end_thread()
    emulator._closed()  # noqa: SLF001


def _note_failure(core: Core | None, error: BaseException | None) -> None:
    """Mark the timeline of what an error ends. One under chaos says how to see it again."""
    if core is not None and error is not None:
        core.timeline.ended_by = id(error)
        if core.timeline.chaos is not None:
            error.add_note(f"chaos: run again with seed={core.timeline.chaos.seed} to see the same")
