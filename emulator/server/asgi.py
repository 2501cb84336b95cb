"""What an ASGI application is, in types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

ANSWER: Final = "emulator.answer"
"""The key of a scope under which the emulator's own server has a function that sends a complete answer. Its arguments
are the status, the headers, which say how long the answer is, and the body. It returns False, having sent nothing,
where the answer has to be sent by messages."""
