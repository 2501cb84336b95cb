"""A client of a running session's REST API: which session a command is about, and how to ask it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from msgspec.structs import replace

from emulator.base.errors import EmulatorError
from emulator.bindings.queue.addresses import queue_id
from emulator.server.addresses import API_PREFIX
from emulator.session.running import Running, choose, running_sessions

if TYPE_CHECKING:
    import httpx

ACCOUNT_ID = "local"
"""Any id is accepted."""
API_TOKEN = "local"
"""The token to send where none is required."""

_TIMEOUT_SECONDS = 30.0
_PER_PAGE = 1_000
_QUEUE_NOT_FOUND = 10104


def find_session(url: str | None, token: str | None) -> Running:
    """The session at `url`, or without one the session that a command in the working directory means. `token` wins over
    a token that is known. Raises EmulatorError."""
    if url is None:
        session = choose(running_sessions(), Path.cwd().resolve())
        return replace(session, api_token=token or session.api_token)
    address = url.rstrip("/").removesuffix(API_PREFIX)
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise EmulatorError(f"--url is {url!r}; it must be an address such as http://localhost:8787")
    known = next((session for session in running_sessions() if session.url == address), Running(address, 0, 0.0))
    return replace(known, api_token=token or known.api_token)


class RestError(EmulatorError):
    """The REST API refused a call, with this code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Client:
    """Asks a session. Close it, or use it as a context manager."""

    def __init__(
        self, session: Running, prefix: str, timeout_seconds: float | None, client: httpx.Client | None = None
    ) -> None:
        """`client` is used in place of one that speaks with the session's address."""
        # httpx has a command line of its own, which imports rich and pygments where they are: half of its time.
        sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
        import httpx  # takes a while, which `--help` should not

        self._url = session.url
        self._failures = (httpx.HTTPError, httpx.InvalidURL)
        if client is not None:
            self._client = client
            return
        try:
            verify = session.verify()
        except OSError as error:
            raise EmulatorError(f"the certificate of {self._url} cannot be checked: {error}") from None
        self._client = httpx.Client(
            base_url=f"{session.url}{prefix}",
            headers={"authorization": f"Bearer {session.api_token or API_TOKEN}"},
            timeout=timeout_seconds,
            trust_env=False,  # a proxy cannot reach this machine's ports
            verify=verify,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._telling():
            return self._client.request(method, path, **options)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Errors of the connection are told in words."""
        try:
            yield
        except self._failures as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                hint = "If it is an emulator of this machine, give its address as `emulator dev` printed it."
                raise EmulatorError(f"the certificate of {self._url} is not trusted ({error})", hint=hint) from None
            raise EmulatorError(f"nothing answers at {self._url} ({error})", hint="Is the emulator running?") from None


class PlainClient(_Client):
    """Asks a session outside the REST API, and waits for as long as it takes."""

    def __init__(self, session: Running) -> None:
        super().__init__(session, "", None)

    def get(self, path: str, query: Mapping[str, str] | None = None, worker: str | None = None) -> httpx.Response:
        """The answer to a request, for a worker by name or the first one. Raises EmulatorError if nothing answers."""
        return self._request(
            "GET", path, params=query, headers={} if worker is None else {"host": f"{worker}.localhost"}
        )

    def post(self, path: str) -> httpx.Response:
        """The answer to a POST without a body. Raises EmulatorError if nothing answers."""
        return self._request("POST", path)


class RestClient(_Client):
    """Asks the REST API of a session."""

    def __init__(self, session: Running, client: httpx.Client | None = None) -> None:
        super().__init__(session, API_PREFIX, _TIMEOUT_SECONDS, client)

    def queues(self) -> list[dict[str, Any]]:
        """Every queue, in the order of their creation."""
        found: list[dict[str, Any]] = []
        while True:
            page = len(found) // _PER_PAGE + 1
            some = self._ask("GET", f"/accounts/{ACCOUNT_ID}/queues?per_page={_PER_PAGE}&page={page}")
            found += some
            if len(some) < _PER_PAGE:
                return found

    def ask(self, method: str, queue: str, path: str = "", body: object = None) -> Any:
        """The result of a call about the queue of that name. Raises EmulatorError when it is refused."""
        return self._about(queue, method, f"/accounts/{ACCOUNT_ID}/queues/{queue_id(queue)}{path}", body)

    def create(self, queue: str, settings: Mapping[str, int]) -> None:
        """Create a queue. Raises EmulatorError when that is refused."""
        self._ask("POST", f"/accounts/{ACCOUNT_ID}/queues", {"queue_name": queue, "settings": settings})

    def promote(self, queue: str) -> int:
        """Make the delayed messages in a queue ready at once. Returns how many there were. Raises EmulatorError."""
        path = f"/emulator/queues/{queue_id(queue)}/promote"
        return int(self._about(queue, "POST", path, None)["promoted"])

    def redrive(self, queue: str, to: str | None) -> Any:
        """Send the dead letters in a queue back to where they came from, or everything in it `to` another queue.
        Returns what was `moved` and what stayed: `no_dead_letters` and `orphans`. Raises EmulatorError."""
        return self._about(to or queue, "POST", f"/emulator/queues/{queue_id(queue)}/redrive", {"to": to})

    def require(self, queue: str) -> None:
        """Raise EmulatorError, which names the queues that exist, unless this one does."""
        names = [each["queue_name"] for each in self.queues()]
        if queue not in names:
            hint = f"The queues are: {', '.join(names)}." if names else "It has no queues at all."
            raise EmulatorError(f"there is no queue {queue!r} at {self._url}", hint=hint)

    def _about(self, queue: str, method: str, path: str, body: object) -> Any:
        try:
            return self._ask(method, path, body)
        except RestError as error:
            if error.code == _QUEUE_NOT_FOUND:
                self.require(queue)
            raise

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return self._envelope(self._request(method, path, json=body))["result"]

    def _envelope(self, response: httpx.Response) -> Any:
        """The whole answer of a call that succeeded. Raises EmulatorError when it was refused."""
        try:
            envelope = response.json()
            if envelope["success"]:
                return envelope
            first = envelope["errors"][0]
            code, message = int(first["code"]), str(first["message"])
        except (ValueError, KeyError, TypeError, IndexError):
            text = f"the server at {self._url} (status {response.status_code}) is not an emulator with a REST API"
            raise EmulatorError(text) from None
        raise RestError(code, f"{message} ({code})")
