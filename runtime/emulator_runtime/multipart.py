"""Converts `multipart/form-data` and `application/x-www-form-urlencoded` bodies to form entries and back. Works on
whole bodies in memory, as production does."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from urllib.parse import parse_qsl

from emulator_runtime.text import well_formed

_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')
_ESCAPED = re.compile(r'\\(["\\])')
_PERCENT = {"%22": '"', "%0D": "\r", "%0A": "\n", "%0d": "\r", "%0a": "\n"}
_PERCENT_ESCAPED = re.compile("%22|%0[DdAa]")

UNKNOWN_TYPE = (
    "Unrecognized Content-Type header value. FormData can only parse the following MIME types: "
    "multipart/form-data, application/x-www-form-urlencoded."
)


class Part:
    """One entry of a form. `filename` is None for a plain field, whose content is text in UTF-8."""

    __slots__ = ("content", "content_type", "filename", "name")

    def __init__(self, name: str, content: bytes, filename: str | None = None, content_type: str | None = None) -> None:
        self.name = name
        self.content = content
        self.filename = filename
        self.content_type = content_type


def parse(body: bytes, content_type: str | None) -> list[Part]:
    """The entries of a form body in order. Raises `TypeError` if it is not a form."""
    essence = (content_type or "").partition(";")[0].strip().lower()
    if essence == "application/x-www-form-urlencoded":
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        return [Part(name, value.encode("utf-8", "surrogatepass")) for name, value in pairs]
    if essence != "multipart/form-data":
        raise TypeError(UNKNOWN_TYPE)
    boundary = _parameters(content_type or "").get("boundary")
    if not boundary:
        raise TypeError("No boundary string in Content-Type header. The multipart/form-data MIME type requires one.")
    return _parse_multipart(body, boundary.encode("latin-1", "replace"))


def _parse_multipart(body: bytes, boundary: bytes) -> list[Part]:
    # A delimiter begins with the line break before it, so one is added before the first delimiter.
    sections = (b"\r\n" + body).split(b"\r\n--" + boundary)
    parts: list[Part] = []
    for section in sections[1:]:
        if section.startswith(b"--"):
            return parts
        padding, line_break, rest = section.partition(b"\r\n")
        if not line_break or padding.strip():
            break
        headers, blank_line, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if not blank_line:
            break
        parts.append(_part(headers, content))
    raise TypeError("Unexpected end of the multipart/form-data body, or a part of it is malformed.")


def _part(headers: bytes, content: bytes) -> Part:
    disposition = content_type = ""
    for line in headers.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            disposition = value
        elif name.strip().lower() == "content-type":
            content_type = value.strip()
    parameters = _parameters(disposition)
    if "name" not in parameters:
        raise TypeError("A part of the multipart/form-data body has no name in its Content-Disposition header.")
    filename = parameters.get("filename")
    if filename is not None and not content_type:
        content_type = "application/octet-stream"
    return Part(
        _unescape(parameters["name"]),
        content,
        None if filename is None else _unescape(filename),
        content_type or None,
    )


def _parameters(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value):
        name, quoted, plain = match.groups()
        found.setdefault(name.lower(), plain if quoted is None else _ESCAPED.sub(r"\1", quoted))
    return found


def _unescape(name: str) -> str:
    """Browsers write a quote or a line break in a name as a percent escape."""
    return _PERCENT_ESCAPED.sub(lambda match: _PERCENT[match[0]], name) if "%" in name else name


def _escape(name: str) -> str:
    return well_formed(name).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def encode(parts: Iterable[Part]) -> tuple[bytes, str]:
    """The body of a form with these entries, and its content type with the boundary."""
    boundary = f"----formdata-{secrets.token_hex(16)}"
    chunks: list[bytes] = []
    for part in parts:
        filename = "" if part.filename is None else f'; filename="{_escape(part.filename)}"'
        kind = "" if part.filename is None else f"Content-Type: {part.content_type or 'application/octet-stream'}\r\n"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_escape(part.name)}"{filename}\r\n{kind}\r\n'
        chunks += (head.encode(), part.content, b"\r\n")
    chunks.append(f"--{boundary}--\r\n".encode())
    return b"".join(chunks), f"multipart/form-data; boundary={boundary}"
