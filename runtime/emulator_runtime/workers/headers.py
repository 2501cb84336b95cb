"""`Headers` of the web platform: a list of names and values that can be changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from emulator_runtime.raw_headers import (
    RawHeaders,
    combined,
    decode_value,
    encode_name,
    encode_pairs,
    encode_value,
)


class Headers:
    """Header names, which are case-insensitive, and their values.

    Created from a dict, pairs or other `Headers`. Iteration yields pairs, sorted by name; the values of one name are
    joined with commas, except `set-cookie`.
    """

    __slots__ = ("_immutable", "_raw")

    def __init__(self, init: Any = None) -> None:
        self._raw = encode_headers(init)
        self._immutable = False

    @classmethod
    def new(cls, init: Any = None, **names: str) -> Self:
        """Call `Headers.new({"x-a": "1"})`, `Headers.new({"x-a": "1"}.items())` or `Headers.new([["x-a", "1"]])`."""
        if init is None or isinstance(init, (dict, list, Headers)):
            return cls(init or names)
        return cls(list(init))

    @classmethod
    def over(cls, raw: RawHeaders, *, immutable: bool) -> Self:
        """The headers of a request or response themselves, not a copy: changes apply to it."""
        headers = cls()
        headers._bind(raw, immutable)
        return headers

    def _bind(self, raw: RawHeaders, immutable: bool) -> None:
        self._raw = raw
        self._immutable = immutable

    @property
    def raw(self) -> RawHeaders:
        """The ASGI list: lower-case names and values, as bytes."""
        return self._raw

    def _change(self, raw: RawHeaders) -> None:
        if self._immutable:
            raise TypeError("Can't modify immutable headers.")
        self._raw[:] = raw

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of a header, or `default`. Several values are joined with commas."""
        wanted = encode_name(name)
        values = [decode_value(value) for each, value in self._raw if each == wanted]
        return ", ".join(values) if values else default

    def getAll(self, name: str) -> list[str]:
        """Every value of `set-cookie`. Raises `TypeError` for other names, as in production."""
        if encode_name(name) != b"set-cookie":
            raise TypeError('getAll() can only be used with the header name "Set-Cookie".')
        return self.getSetCookie()

    def getSetCookie(self) -> list[str]:
        return [decode_value(value) for each, value in self._raw if each == b"set-cookie"]

    def has(self, name: str) -> bool:
        wanted = encode_name(name)
        return any(each == wanted for each, _ in self._raw)

    def set(self, name: str, value: str) -> None:
        """Replace every value of `name`."""
        wanted = encode_name(name)
        self._change([*[pair for pair in self._raw if pair[0] != wanted], (wanted, encode_value(name, value))])

    def append(self, name: str, value: str) -> None:
        """Add a value to those that `name` has."""
        self._change([*self._raw, (encode_name(name), encode_value(name, value))])

    def delete(self, name: str) -> None:
        wanted = encode_name(name)
        self._change([pair for pair in self._raw if pair[0] != wanted])

    def entries(self) -> list[tuple[str, str]]:
        return combined(self._raw)

    items = entries

    def keys(self) -> list[str]:
        return [name for name, _ in self.entries()]

    def values(self) -> list[str]:
        return [value for _, value in self.entries()]

    def forEach(self, callback: Callable[..., object]) -> None:
        for name, value in self.entries():
            callback(value, name, self)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.entries())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.has(name)

    def __getitem__(self, name: str) -> str | None:
        return self.get(name)

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __repr__(self) -> str:
        return f"Headers({self.entries()!r})"


def encode_headers(headers: Any) -> RawHeaders:
    """Encode headers from worker code: a dict, a list of pairs, or `Headers`. Raises `TypeError` for anything else;
    production does not accept a tuple or an `HTTPMessage` either, which is the type of `request.headers`."""
    if not headers and not isinstance(headers, Headers):
        return []
    if isinstance(headers, dict):
        return encode_pairs(headers.items())
    if isinstance(headers, list):
        return encode_pairs(headers)
    if isinstance(headers, Headers):
        return list(headers.raw)
    hint = "; pass list(headers.items())" if hasattr(headers, "items") else ""
    raise TypeError(f"Received unexpected type for headers argument: {type(headers).__name__}{hint}")
