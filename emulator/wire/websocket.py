"""The frames of a WebSocket: bytes from a network to what comes out of the end of a pipe, and back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side

from emulator_runtime.hosting import Closing, Item, Lost

if TYPE_CHECKING:
    from emulator_runtime.hosting import End

MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
"""How long a message that is received may be, as in production. A longer one ends the connection with the code 1009."""

_NO_CODE: Final = 1005
_SILENT: Final = logging.Logger("websocket", logging.CRITICAL)
"""Frames are written while worker code runs: what the library logs would be taken for the worker's."""


class Frames:
    """One side of a connection that has become a WebSocket. Does no input and output of its own.

    Each side closes for itself: after a Close frame was received, messages can be sent until one is sent.
    """

    def __init__(self, *, client: bool) -> None:
        side = Side.CLIENT if client else Side.SERVER
        self._protocol = _Protocol(side, max_size=MAX_MESSAGE_BYTES, logger=_SILENT)
        self._message: list[bytes] = []
        self._is_text = False
        self.closed_in = False
        """Whether nothing more comes."""
        self.closed_out = False
        """Whether nothing more may be sent."""

    def write(self, item: Item) -> bytes:
        """The bytes that say `item`; none for what can be said only by closing the connection."""
        protocol = self._protocol
        if self.closed_out or isinstance(item, Lost):
            self.closed_out = True
            return b""
        if isinstance(item, str):
            protocol.send_text(item.encode())
        elif isinstance(item, bytes):
            protocol.send_binary(item)
        else:
            self.closed_out = True
            if item.code == _NO_CODE:
                protocol.send_close()
            else:
                protocol.send_close(item.code, item.reason)
        return self.replies()

    def read(self, data: bytes) -> list[Item]:
        """What `data` says. Afterwards there may be `replies`."""
        if self.closed_in:
            return []
        self._protocol.receive_data(data)
        items: list[Item] = []
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            item = self._item(event)
            if item is not None:
                items.append(item)
        broken = self._protocol.parser_exc
        if broken is not None and not self.closed_in:
            self.closed_in = self.closed_out = True
            sent = self._protocol.close_sent
            code, reason = (sent.code, sent.reason) if sent is not None else (_NO_CODE, str(broken))
            items.append(
                Lost(
                    f"WebSocket protocol error; protocolError.statusCode = {int(code)}; "
                    f"protocolError.description = {reason}"
                )
            )
        return items

    def receive(self, data: bytes, reply: Callable[[bytes], object], end: End) -> None:
        """Send what `data` says into `end`, after what has to be sent by the rules of the protocol went to `reply`."""
        items = self.read(data)
        replies = self.replies()
        if replies:
            reply(replies)
        for item in items:
            end.send(item)

    def replies(self) -> bytes:
        """What has to be sent by the rules of the protocol."""
        return b"".join(self._protocol.data_to_send())

    def _item(self, frame: Frame) -> Item | None:
        if self.closed_in or frame.opcode in (Opcode.PING, Opcode.PONG):
            return None
        if frame.opcode is Opcode.CLOSE:
            self.closed_in = True
            close = Close.parse(frame.data)
            return Closing(int(close.code), close.reason)
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._message.append(bytes(frame.data))
        if not frame.fin:
            return None
        message = b"".join(self._message)
        self._message.clear()
        return message.decode("utf-8", "replace") if self._is_text else message


class _Protocol(Protocol):
    """A protocol that leaves the answer to a Close frame to its owner."""

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CLOSE:
            super().recv_frame(frame)
            return
        Close.parse(frame.data)  # raises what ends the connection with 1002
        self.events.append(frame)
