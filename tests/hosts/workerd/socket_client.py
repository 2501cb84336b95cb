"""Asks over a Unix socket, as workerd does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path


async def ask(path: Path, binding: str, *, target: str = "/", body: bytes = b"") -> tuple[bytes, bytes]:
    """Send one request of a binding; the head and the body of its answer."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        head = (
            f"POST {target} HTTP/1.1\r\nHost: x\r\nX-Emulator-Binding: {binding}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", answer)
        assert length is not None
        return answer, await reader.readexactly(int(length[1]))
    finally:
        writer.close()
