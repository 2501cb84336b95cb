"""Where the commands about data find it: in a running session, which is asked over its REST API, or, if none runs the
project, in the project's directory, over the same API in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulator.base.errors import EmulatorError
from emulator.cli.rest import ACCOUNT_ID, RestClient, find_session
from emulator.session.running import running_sessions

ACCOUNT = f"/accounts/{ACCOUNT_ID}"


@contextmanager
def data(url: str | None, token: str | None) -> Iterator[DataClient]:
    """A client of the session that a command means, or of the directory beside the configuration. Raises
    EmulatorError."""
    here = Path.cwd().resolve()
    runs = any(here.is_relative_to(Path(config).parent) for session in running_sessions() for config in session.configs)
    if url is not None or token is not None or runs:
        with DataClient(find_session(url, token)) as client:
            yield client
        return
    with _at_rest(here) as client:
        yield client


@contextmanager
def _at_rest(directory: Path) -> Iterator[DataClient]:
    import httpx

    from emulator.base.bus import Bus
    from emulator.bindings.registry import KINDS
    from emulator.cli.in_process import InThisProcess
    from emulator.config import find_config
    from emulator.config.loading import load_config
    from emulator.server.control.api.routes import make_api
    from emulator.session.running import Running
    from emulator.session.session import Session
    from emulator.storage.state import PLACE, State

    config = load_config(find_config(directory), KINDS)
    state = State(config.path.resolve().parent / PLACE)
    try:
        session = Session([config], Bus(), state=state)
        session.open_kinds.env(config)  # so that kinds know what is declared
        running = Running(str(config.path), 0, 0.0)
        with asyncio.Runner() as runner:
            transport = InThisProcess(make_api(session), runner)
            with DataClient(running, httpx.Client(base_url="http://localhost", transport=transport)) as client:
                yield client
    finally:
        state.close()


class DataClient(RestClient):
    """Asks for what bindings keep."""

    def ask_for(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """The result of a call to `path` below the account. Raises EmulatorError when it is refused."""
        return self.whole(method, path, body, **query)["result"]

    def whole(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """The whole answer of a call, with its `result_info`."""
        given = {name: str(value) for name, value in query.items() if value not in {None, ""}}
        return self._envelope(self._request(method, ACCOUNT + path, json=body, params=given))

    def wait_for(self, method: str, path: str, body: object) -> Any:
        """The result of a call that may take long. Raises EmulatorError when it is refused."""
        return self._envelope(self._request(method, ACCOUNT + path, json=body, timeout=None))["result"]

    @contextmanager
    def download(self, path: str) -> Iterator[tuple[int | None, Iterator[bytes]]]:
        """What is at `path`, as it is: how many bytes, if that is known, and these in pieces."""
        with self._telling(), self._client.stream("GET", ACCOUNT + path) as response:
            if response.status_code != 200:
                response.read()
                self._envelope(response)
            length = response.headers.get("content-length")
            yield None if length is None else int(length), response.iter_raw()

    def upload(
        self,
        path: str,
        content: bytes | Iterator[bytes],
        *,
        content_type: str = "application/octet-stream",
        **query: object,
    ) -> Any:
        """Put something there as it is. Returns the result."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        headers = {"content-type": content_type}
        answer = self._request("PUT", ACCOUNT + path, content=content, params=given, headers=headers)
        return self._envelope(answer)["result"]

    def upload_file(self, path: str, content: bytes) -> None:
        """Put a file where an answer has said, which has no envelope."""
        response = self._request("PUT", ACCOUNT + path, content=content, timeout=None)
        if response.status_code != 200:
            self._envelope(response)

    def upload_form(self, path: str, fields: dict[str, bytes], **query: object) -> None:
        """Put a form there."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        files = {name: (None, value) for name, value in fields.items()}
        self._envelope(self._request("PUT", ACCOUNT + path, files=files, params=given))

    def named(self, what: str, name: str, found: list[tuple[str, str, list[str]]]) -> str:
        """The id of one of `found`, each an id, a title and the names of bindings, by any of these. Raises
        EmulatorError, which names them."""
        for identifier, title, bindings in found:
            if name in {identifier, title, *bindings}:
                return identifier
        shown = ", ".join(bindings[0] if bindings else title for _, title, bindings in found)
        raise EmulatorError(f"there is no {what} {name!r}", hint=f"There is: {shown}." if shown else "There is none.")
