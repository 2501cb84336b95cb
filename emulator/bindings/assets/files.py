"""The files below a directory of assets. Each is looked at when it is asked for, so that a change is served at once."""

from __future__ import annotations

import mimetypes
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import md5
from pathlib import Path, PurePosixPath
from time import time_ns
from typing import Final

import msgspec

from emulator.base.errors import EmulatorError
from emulator.base.words import reason, shown_path

MAX_FILE_BYTES: Final = 25 * 1024 * 1024
MAX_FILES: Final = 100_000
HELD_BYTES: Final = 64 * 1024 * 1024
"""How much of the files is held in memory."""

IGNORE_FILE: Final = ".assetsignore"
REDIRECTS_FILE: Final = "_redirects"
HEADERS_FILE: Final = "_headers"
_NEVER: Final = frozenset({IGNORE_FILE, REDIRECTS_FILE, HEADERS_FILE})

_TYPES: Final = mimetypes.MimeTypes(filenames=())
"""Not the system's tables, which differ."""

_WILD: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}

_OTHER_TYPES: Final = {
    ".avif": "image/avif",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "text/xml",
    ".yaml": "text/yaml",
    ".yml": "text/yaml",
}


UNSETTLED_NS: Final = 20_000_000
"""Within this time another change of a file may leave it with the same version, as file systems count time in steps."""

Version = tuple[int, int, int]
"""What tells the versions of a file apart: when it was changed, its size, and its number."""

Looks = tuple[tuple[str, ...], tuple["Version | None", ...]]
"""Files that were looked at, and what was seen of each: None where there was none."""


class Asset(msgspec.Struct, frozen=True):
    """A file as it is sent. `content_type` is empty where none is known."""

    content: bytes
    etag: str
    content_type: str


class AssetDirectory:
    """The files of one directory, by paths such as `/img/logo.png`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._root = f"{directory}/"
        self._held: dict[str, tuple[Version, Asset]] = {}
        self._held_bytes = 0
        self._noted: dict[str, Version | None] | None = None
        self._ignored: tuple[Version | None, list[tuple[str, bool]]] = (None, [])

    @contextmanager
    def noting(self) -> Iterator[dict[str, Version | None]]:
        """Notes in the dict which files are looked at in this context, and what is seen."""
        noted: dict[str, Version | None] = {}
        self._noted = noted
        try:
            yield noted
        finally:
            self._noted = None

    @staticmethod
    def are_as(looks: Looks) -> bool:
        """Whether files are still as they were seen."""
        files, versions = looks
        return tuple(map(_version_of, files)) == versions

    def has(self, path: str) -> bool:
        """Whether a file is served at this path."""
        return self._version(path) is not None

    def read(self, path: str) -> Asset | None:
        """The file at this path; None if there is none, or no more. Raises EmulatorError if it cannot be read, or is
        too large."""
        version = self._version(path)
        if version is None:
            return None
        held = self._held.get(path)
        if held is not None and held[0] == version:
            return held[1]
        file = self.directory / path[1:]
        if version[1] > MAX_FILE_BYTES:
            raise EmulatorError(
                f"{shown_path(file)} has {version[1]:,} bytes, and an asset may have {MAX_FILE_BYTES:,}"
            )
        try:
            content = file.read_bytes()
        except OSError as error:
            raise EmulatorError(f"{shown_path(file)} cannot be read: {reason(error)}") from None
        asset = Asset(content, md5(content, usedforsecurity=False).hexdigest(), content_type(path))
        self._hold(path, version, asset)
        return asset

    def text(self, name: str) -> tuple[object, str]:
        """A file of rules: what tells its versions apart, and its text, empty if there is none."""
        version = self._look(self._root + name)
        if version is None:
            return None, ""
        try:
            return version, (self.directory / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None, ""

    def paths(self) -> Iterator[str]:
        """All paths at which files are, in order."""
        for place, directories, names in os.walk(self.directory):
            directories.sort()
            for name in sorted(names):
                path = "/" + Path(place, name).relative_to(self.directory).as_posix()
                if self.has(path):
                    yield path

    def _version(self, path: str) -> Version | None:
        """What tells the versions of a file apart; None if nothing is served there."""
        if not path.startswith("/") or "\0" in path or any(part in {"", ".", ".."} for part in path[1:].split("/")):
            return None
        name = path[1:]
        if name in _NEVER or self._ignores(name):
            return None
        return self._look(self._root + name)

    def _look(self, file: str) -> Version | None:
        version = _version_of(file)
        if self._noted is not None:
            self._noted[file] = version
        return version

    def _hold(self, path: str, version: Version, asset: Asset) -> None:
        before = self._held.pop(path, None)
        if before is not None:
            self._held_bytes -= len(before[1].content)
        if len(asset.content) > HELD_BYTES // 8 or not is_settled(version):
            return
        while self._held and self._held_bytes + len(asset.content) > HELD_BYTES:
            oldest = next(iter(self._held))
            self._held_bytes -= len(self._held.pop(oldest)[1].content)
        self._held[path] = version, asset
        self._held_bytes += len(asset.content)

    def _ignores(self, name: str) -> bool:
        """Whether `.assetsignore` excludes a file. Its lines are those of a `.gitignore`."""
        version = self._look(self._root + IGNORE_FILE)
        if version != self._ignored[0]:
            _, text = self.text(IGNORE_FILE)
            self._ignored = version, _read_ignored(text)
        ignored = False
        for pattern, excludes in self._ignored[1]:
            if _is_ignored(name, pattern):
                ignored = excludes
        return ignored


def content_type(path: str) -> str:
    """The type of a file by its ending."""
    ending = PurePosixPath(path).suffix.lower()
    found = _OTHER_TYPES.get(ending) or _TYPES.guess_type(f"x{ending}")[0] or ""
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


def is_settled(version: Version | None) -> bool:
    """Whether a file that is changed from now on has another version."""
    return version is None or version[0] < time_ns() - UNSETTLED_NS


def _version_of(file: str) -> Version | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - a Path takes four times as long, and each request asks several times
    except (OSError, ValueError):
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _read_ignored(text: str) -> list[tuple[str, bool]]:
    lines = (line.strip() for line in text.splitlines())
    return [(line.lstrip("!"), not line.startswith("!")) for line in lines if line and not line.startswith("#")]


def _is_ignored(name: str, pattern: str) -> bool:
    parts = name.split("/")
    if "/" not in pattern.rstrip("/"):  # a name, of a file or of a directory, anywhere
        tried = parts[:-1] if pattern.endswith("/") else parts
    else:
        tried = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    compiled = _compiled(pattern.strip("/"))
    return any(compiled.fullmatch(each) for each in tried)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = (_WILD.get(piece) or re.escape(piece) for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern))
    return re.compile("".join(pieces))
