"""Forwards messages between sessions on one machine: from a session where a queue has no consumer to the one that
consumes it.

A session whose queue has no consumer looks in the registry for a session that consumes it. While there is one, the
queue delivers to it: in batches over loopback, by the same engine that delivers to workers. A message is settled here
once the other session has accepted it. If that session ends or does not answer, messages wait here until it is back or
another session consumes the queue. A message arrives twice if the other session ends after accepting a batch and before
its answer: at least once, like every delivery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from emulator.base.bus import Notice
from emulator.queues.events import ConsumerChanged
from emulator.queues.message import QueueMessage, Verdict, WorkerDelivery
from emulator.session.events import ConfigurationChanged
from emulator.session.running import Running, home, register, running_sessions
from emulator.session.session import Session
from emulator.session.watch import DEFER_SECONDS
from emulator.wire.texts import pack

if TYPE_CHECKING:
    import httpx

FORWARD_PATH: Final = "/cdn-cgi/emulator/forward/"
"""The address at which a session accepts messages from others: `POST`, with the name of the queue at the end."""

FROM_HEADER: Final = "x-emulator-session"
"""The header with the URL of the session that posts."""

CONTENT_TYPE: Final = "application/msgpack"
"""The content type of the posted batch, a list of QueueMessage. A web page cannot send this type without a preflight
request."""

LOOK_MS: Final = 1_000
"""How often to read the registry, besides when it changes: a process that was killed does not change it."""

RETRY_SECONDS: Final = 0.5
TIMEOUT_SECONDS: Final = 10.0

decode_messages: Final = msgspec.msgpack.Decoder(list[QueueMessage]).decode


class _Owner(msgspec.Struct, frozen=True):
    """The session that consumes a queue, and the worker that does; empty if clients pull."""

    session: Running
    worker: str

    def __str__(self) -> str:
        who = f"worker {self.worker} of" if self.worker else "clients that pull from"
        return f"{who} the session at {self.session.url}"


class Peers:
    """Connects the queues of `session` with other sessions, from `start` to `stop`. `running` is its own entry in the
    registry, or None if it could not be registered."""

    def __init__(self, session: Session, running: Running | None) -> None:
        self._session = session
        self._queues = session.queues
        self._running = running
        self._owners: dict[str, _Owner] = {}
        self._doubly_consumed: set[tuple[str, str]] = set()
        self._unreachable: set[str] = set()
        self._strangers: set[tuple[str, str]] = set()
        self._look_again = asyncio.Event()
        self._clients: dict[str, httpx.AsyncClient] = {}
        """By the file of certificates that they trust."""
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe = [
            session.bus.subscribe(ConsumerChanged, self._wake),
            session.bus.subscribe(ConfigurationChanged, self._wake),
        ]

    def start(self) -> None:
        """Begin to look for other sessions."""
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._look_when_woken())]
        self._look_again.set()

    async def stop(self) -> None:
        """Stop forwarding more batches."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        for task in self._tasks:
            task.cancel()
        for name in self._owners:
            await self._queues.forward(name, None)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Close the connections, after the batches under way have been settled."""
        for client in self._clients.values():
            await client.aclose()

    def _wake(self, _event: object = None) -> None:
        self._look_again.set()

    async def _watch(self) -> None:
        """Wake the other task when the registry changes, and at regular intervals."""
        await asyncio.sleep(DEFER_SECONDS)
        from watchfiles import awatch

        with suppress(OSError):  # if the registry cannot be created, there are no other sessions to find
            directory = home()
            directory.mkdir(mode=0o700, exist_ok=True)
            async for _ in awatch(
                directory, watch_filter=None, step=10, debounce=50, rust_timeout=LOOK_MS, yield_on_timeout=True
            ):
                self._wake()

    async def _look_when_woken(self) -> None:
        while True:
            await self._look_again.wait()
            self._look_again.clear()
            await self._look()

    async def _look(self) -> None:
        """Find out which session consumes each queue, and deliver accordingly."""
        self._tell_what_is_consumed()
        own = self._running
        everybody = [each for each in running_sessions() if own is None or each.pid != own.pid]
        others = [each for each in everybody if own is not None and each.belongs_to(own)]
        self._tell_of_strangers(each for each in everybody if each not in others)
        found: dict[str, _Owner] = {}
        for each in reversed(others):  # of two sessions that consume a queue, the older one
            found.update({queue: _Owner(each, worker) for queue, worker in each.consumes.items()})
        for name, state in list(self._queues.states.items()):
            owner = found.get(name)
            if state.consumer is not None:
                if owner is not None:
                    self._warn_of_two(name, owner)
                self._owners.pop(name, None)
            elif owner is not None:
                await self._go_on(name, owner)
            elif name in self._owners:
                await self._wait(name, f"{self._owners.pop(name)} is no longer running")

    def _tell_of_strangers(self, sessions: Iterable[Running]) -> None:
        """Say once of each session of another project that it consumes a queue which nobody consumes here."""
        for each in sessions:
            for name in each.consumes:
                state = self._queues.states.get(name)
                if state is None or state.consumer is not None or (name, each.url) in self._strangers:
                    continue
                self._strangers.add((name, each.url))
                self._say(
                    f"queue {name}: the session at {each.url} consumes a queue of that name, but is of another project;"
                    " start both with `--share NAME` to connect them"
                )

    async def _go_on(self, name: str, owner: _Owner) -> None:
        known = self._owners.get(name)
        if known is not None and known.session.pid == owner.session.pid and self._queues.forwarded_to(name):
            return
        if known is None:
            self._say(f"queue {name}: messages go to {owner}")
        self._owners[name] = owner
        await self._queues.forward(name, partial(self._deliver, owner.session), str(owner))

    async def _wait(self, name: str, why: str) -> None:
        await self._queues.forward(name, None)
        self._say(f"queue {name}: {why}; messages wait here until it is back")

    def _warn_of_two(self, name: str, owner: _Owner) -> None:
        case = (name, owner.session.url)
        if case not in self._doubly_consumed:
            self._doubly_consumed.add(case)
            text = (
                f"queue {name} is also consumed by {owner}. In production a queue has one consumer; here each session "
                f"delivers the messages that were sent in it"
            )
            self._session.bus.publish(Notice("warning", text))

    async def _deliver(self, owner: Running, delivery: WorkerDelivery) -> Verdict | None:
        """Forward a batch. Returns None if it was not accepted: its messages wait, and the registry is read again
        soon."""
        why = await self._post(owner, delivery)
        if not why:
            self._unreachable.discard(delivery.queue)
            return Verdict()
        await self._queues.forward(delivery.queue, None)
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self._wake)
        if delivery.queue not in self._unreachable:
            self._unreachable.add(delivery.queue)
            self._say(f"queue {delivery.queue}: {owner.url} is not accepting messages ({why}); they wait here")
        return None

    async def _post(self, owner: Running, delivery: WorkerDelivery) -> str:
        """Post a batch to the session that consumes it. Returns what went wrong, or an empty string."""
        import httpx

        headers = {"content-type": CONTENT_TYPE}
        if self._running is not None:
            headers[FROM_HEADER] = self._running.url
        if owner.api_token:
            headers["authorization"] = f"Bearer {owner.api_token}"
        body = pack(delivery.messages)
        url = f"{owner.url}{FORWARD_PATH}{quote(delivery.queue, safe='')}"
        try:
            answer = await self._client_for(owner).post(url, content=body, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return "" if answer.status_code == 204 else f"it answered {answer.status_code}: {answer.text[:200].strip()}"

    def _client_for(self, owner: Running) -> httpx.AsyncClient:
        """Raises OSError if the certificates that `owner` says cannot be read."""
        import httpx

        from emulator.base.quiet import quiet

        client = self._clients.get(owner.trusted)
        if client is None:
            client = quiet(httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False, verify=owner.verify()))
            self._clients[owner.trusted] = client
        return client

    def _tell_what_is_consumed(self) -> None:
        """Update the registry with the queues that this session consumes now."""
        if self._running is None:
            return
        consumes = consumed_by(self._session)
        if consumes != self._running.consumes:
            self._running = msgspec.structs.replace(self._running, consumes=consumes)
            with suppress(OSError):
                register(self._running)

    def _say(self, text: str) -> None:
        self._session.bus.publish(Notice("info", text))


def consumed_by(session: Session) -> Mapping[str, str]:
    """The queues that a session consumes, each with the worker's name; empty if clients pull."""
    return {
        state.name: state.worker if state.consumer.type == "worker" else ""
        for state in session.queues.states.values()
        if state.consumer is not None
    }
