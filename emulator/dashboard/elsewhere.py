"""What other sessions on this machine know of messages that came from them."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec.structs import replace

from emulator.dashboard.story import Provenance
from emulator.queues.message import QueueMessage
from emulator.server.addresses import DASHBOARD_API
from emulator.server.hostname import is_address, is_local
from emulator.session.running import Running, running_sessions

_SECONDS: Final = 1.0
"""How long another session may take to answer."""


def forwarded_from(url: str, message: QueueMessage) -> Provenance:
    """Where a message came from that the session at `url` has forwarded, as far as the message itself tells."""
    if message.dead_letter is not None:
        text = "from another session, because it died"
    elif message.source == "api":
        text = "from another session: a client of the REST API"
    else:
        text = f"from another session: worker {message.source}" if message.source else "from another session"
    return Provenance(kind="forwarded", text=text, session=url)


async def asked_for_more(origin: Provenance, message: str, queue: str, entered_at: float) -> Provenance:
    """The same, and what the session that has forwarded the message knows of that: it entered `queue` here at
    `entered_at`, in seconds since the epoch. Only a session that is registered is asked."""
    session = next((each for each in running_sessions() if each.url == origin.session), None)
    told = None if session is None else await _ask(session, message, queue, entered_at)
    if told is None or told.kind == "forwarded":
        return origin
    before, is_from, after = told.text.partition("from ")
    text = f"from another session: {after}" if is_from and not before else f"from another session, {told.text}"
    return replace(told, text=text, session=origin.session)


async def _ask(session: Running, message: str, queue: str, entered_at: float) -> Provenance | None:
    import httpx  # few messages come from other sessions

    headers = {"authorization": f"Bearer {session.api_token}"} if session.api_token else {}
    query: dict[str, str | int] = {"queue": queue, "until_ms": int(entered_at * 1000) + 1}
    url = f"{session.url}{DASHBOARD_API}/messages/{quote(message, safe='')}/origin"
    try:
        verify = session.verify() if session.trusted else False
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False, verify=verify) as client:
            answer = await client.get(url, params=query, headers=headers)
        return msgspec.json.decode(answer.content, type=Provenance) if answer.status_code == 200 else None
    except (httpx.HTTPError, OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def linked(url: str, host: str) -> str:
    """The URL of a session for a link on a page that was opened at `host`. Browsers say of a link between two names of
    this machine that it comes from another site, and then it is refused, so it leads to the name of the page."""
    parts = urlsplit(url)
    is_name_of_all = host.lower() == "localhost" or is_address(host)
    if not (is_name_of_all and is_local(host) and is_local(parts.hostname or "")):
        return url
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{parts.port}" if parts.port else "")
