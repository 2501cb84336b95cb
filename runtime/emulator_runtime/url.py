"""`URL` and `URLSearchParams` of the web platform: parses and normalises URLs. Supports HTTP URLs; the special cases of
`file:` and `blob:` are missing."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urljoin, urlsplit

from emulator_runtime.errors import InvalidURLError
from emulator_runtime.text import well_formed

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
_PATH_SAFE = "/%:@!$&'()*+,;=~|[]\\^"
_QUERY_SAFE = "/%:@!$&()*+,;=~?|[]\\^`{}"
_FRAGMENT_SAFE = _QUERY_SAFE + "#"


class URL:
    """A parsed URL. Raises an error that is a `TypeError` and a `ValueError` if it is not absolute and there is no
    `base`."""

    __slots__ = ("_parts", "_search_params")

    def __init__(self, url: str, base: str | None = None) -> None:
        text = well_formed(str(url)).strip(" \t\r\n\f")
        if base is not None:
            try:
                text = urljoin(well_formed(str(base)), text)
            except ValueError as error:
                raise InvalidURLError(f"Invalid base URL: {base}") from error
        self._parts = _parse(text, url)
        self._search_params: URLSearchParams | None = None

    @classmethod
    def new(cls, url: str, base: str | None = None) -> Self:
        return cls(url, base)

    @classmethod
    def canParse(cls, url: str, base: str | None = None) -> bool:
        try:
            cls(url, base)
        except InvalidURLError:
            return False
        return True

    @property
    def href(self) -> str:
        return self._parts.geturl()

    @property
    def protocol(self) -> str:
        return f"{self._parts.scheme}:"

    @property
    def host(self) -> str:
        return self._parts.netloc.rpartition("@")[2]

    @property
    def hostname(self) -> str:
        return _hostname(self.host)

    @property
    def port(self) -> str:
        return self.host[len(self.hostname) + 1 :]

    @property
    def username(self) -> str:
        return self._parts.username or ""

    @property
    def password(self) -> str:
        return self._parts.password or ""

    @property
    def origin(self) -> str:
        return f"{self._parts.scheme}://{self.host}" if self._parts.scheme in _DEFAULT_PORTS else "null"

    @property
    def pathname(self) -> str:
        return self._parts.path

    @pathname.setter
    def pathname(self, path: str) -> None:
        absolute = path if path.startswith("/") else f"/{path}"
        self._parts = self._parts._replace(path=quote(_without_dots(well_formed(absolute)), safe=_PATH_SAFE))

    @property
    def search(self) -> str:
        return f"?{self._parts.query}" if self._parts.query else ""

    @search.setter
    def search(self, query: str) -> None:
        self._parts = self._parts._replace(query=quote(well_formed(query.removeprefix("?")), safe=_QUERY_SAFE))
        self._search_params = None

    @property
    def hash(self) -> str:
        return f"#{self._parts.fragment}" if self._parts.fragment else ""

    @hash.setter  # noqa: A003 - the name of the property above, not the built-in
    def hash(self, fragment: str) -> None:
        self._parts = self._parts._replace(fragment=quote(well_formed(fragment.removeprefix("#")), safe=_FRAGMENT_SAFE))

    @property
    def searchParams(self) -> URLSearchParams:
        """The query as names and values. Changes to it change the URL."""
        if self._search_params is None:
            self._search_params = URLSearchParams(self._parts.query, self._set_query)
        return self._search_params

    def _set_query(self, query: str) -> None:
        self._parts = self._parts._replace(query=query)

    def toString(self) -> str:
        return self.href

    toJSON = toString
    __str__ = toString

    def __repr__(self) -> str:
        return f"URL({self.href!r})"


def _hostname(host: str) -> str:
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]


def _parse(text: str, given: object) -> SplitResult:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InvalidURLError(f"Invalid URL: {given}") from error
    if not parts.scheme:
        raise InvalidURLError(f"Invalid URL: {given} (it must be absolute, such as https://example.com/path)")
    if parts.scheme not in _DEFAULT_PORTS:
        return parts
    host = _hostname(parts.netloc.rpartition("@")[2]).lower()
    if not host or any(character in host for character in " <>^|%\\"):
        raise InvalidURLError(f"Invalid URL: {given}")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise InvalidURLError(f"Invalid URL: {given}") from error
    user, at, _ = parts.netloc.rpartition("@")
    suffix = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return parts._replace(
        netloc=f"{user}{at}{host}{suffix}",
        path=quote(_without_dots(parts.path) or "/", safe=_PATH_SAFE),
        query=quote(parts.query, safe=_QUERY_SAFE),
        fragment=quote(parts.fragment, safe=_FRAGMENT_SAFE),
    )


def _without_dots(path: str) -> str:
    if "/." not in path:
        return path
    clean = posixpath.normpath(path)
    if path.endswith(("/", "/.", "/..")) and not clean.endswith("/"):
        clean += "/"
    return f"/{clean.lstrip('/')}"


class URLSearchParams:
    """Names and values of a query, in order and with duplicates.

    `init` is a query, a dict or pairs. `on_change` is called with the new query after each change.
    """

    __slots__ = ("_on_change", "_pairs")

    def __init__(self, init: Any = "", on_change: Callable[[str], None] | None = None) -> None:
        self._on_change = on_change
        pairs: Iterable[Any]
        if isinstance(init, str):
            pairs = parse_qsl(init.removeprefix("?"), keep_blank_values=True)
        elif isinstance(init, URLSearchParams):
            pairs = init.entries()
        elif isinstance(init, Mapping):
            pairs = init.items()
        else:
            pairs = init or ()
        self._pairs: list[tuple[str, str]] = [(str(name), str(value)) for name, value in pairs]

    @classmethod
    def new(cls, init: Any = "") -> Self:
        return cls(init)

    @property
    def size(self) -> int:
        return len(self._pairs)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of `name`, or None."""
        return next((value for each, value in self._pairs if each == name), default)

    def getAll(self, name: str) -> list[str]:
        return [value for each, value in self._pairs if each == name]

    def has(self, name: str) -> bool:
        return any(each == name for each, _ in self._pairs)

    def append(self, name: str, value: str) -> None:
        self._change([*self._pairs, (name, str(value))])

    def set(self, name: str, value: str) -> None:
        """Replace the first value of `name` and remove the others, or append the value if there is none."""
        if not self.has(name):
            self.append(name, value)
            return
        first = next(index for index, (each, _) in enumerate(self._pairs) if each == name)
        rest = [pair for pair in self._pairs[first + 1 :] if pair[0] != name]
        self._change([*self._pairs[:first], (name, str(value)), *rest])

    def delete(self, name: str) -> None:
        self._change([pair for pair in self._pairs if pair[0] != name])

    def sort(self) -> None:
        self._change(sorted(self._pairs, key=lambda pair: pair[0]))

    def _change(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        if self._on_change is not None:
            self._on_change(self.toString())

    def entries(self) -> list[tuple[str, str]]:
        return list(self._pairs)

    def keys(self) -> list[str]:
        return [name for name, _ in self._pairs]

    def values(self) -> list[str]:
        return [value for _, value in self._pairs]

    def forEach(self, callback: Callable[..., object]) -> None:
        for name, value in self._pairs:
            callback(value, name, self)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.entries())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.has(name)

    def __getitem__(self, name: str) -> str | None:
        return self.get(name)

    def __len__(self) -> int:
        return len(self._pairs)

    def toString(self) -> str:
        return urlencode([(well_formed(name), well_formed(value)) for name, value in self._pairs])

    __str__ = toString

    def __repr__(self) -> str:
        return f"URLSearchParams({self.toString()!r})"
