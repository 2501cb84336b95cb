"""What happens in the server: it becomes ready, and answers requests."""

from __future__ import annotations

from emulator.base.bus import Happening
from emulator.server.asked import KeptRequest


class ServerReady(Happening):
    """The server accepts connections at `url`, such as `http://127.0.0.1:8787`. `api_token` is what the REST API
    requires if other machines can reach it, else empty. `network_url` is where these can, if `url` does not say it.
    `inspector_url` is where debuggers reach JavaScript workers, if they do."""

    url: str
    api_token: str = ""
    network_url: str = ""
    inspector_url: str = ""


class RequestFinished(Happening, gc=False):
    """A request was answered. `duration` is in seconds, from its arrival to the last byte of the answer. `status` is
    499 if the client went away before that. `bindings` are the numbers of its operations by kinds of bindings, as far
    as they are known, and `binding_seconds` is how long they took; None if there were none. `asked` is what was asked
    for; None if nobody needs to know."""

    worker: str
    method: str
    path: str
    status: int
    duration: float
    bindings: dict[str, int] | None = None
    binding_seconds: float = 0.0
    asked: KeptRequest | None = None
