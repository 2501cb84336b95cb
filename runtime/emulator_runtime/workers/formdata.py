"""`FormData`: the entries of a form, in order; a name may occur more than once."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, Self

from emulator_runtime import multipart
from emulator_runtime.text import to_utf8
from emulator_runtime.workers.blob import Blob, File

FormDataValue = str | Blob


class FormData(MutableMapping[str, Any]):
    """Entries of a form, each text or a `File`. `form[name]` is the first value of a name, or None."""

    __slots__ = ("_entries",)

    def __init__(self, form_data: dict[str, FormDataValue] | FormData | None = None) -> None:
        self._entries: list[tuple[str, FormDataValue]] = []
        if isinstance(form_data, FormData):
            self._entries = list(form_data.items())
        elif isinstance(form_data, dict):
            for name, value in form_data.items():
                self.append(name, value)
        elif form_data is not None:
            raise TypeError("Expected form_data to be a dict or an instance of FormData")

    @classmethod
    def new(cls) -> Self:
        return cls()

    @classmethod
    def parse(cls, body: bytes, content_type: str | None) -> Self:
        """The form in a body. Raises `TypeError` if the content type is not that of a form, or the body is
        malformed."""
        form = cls()
        for part in multipart.parse(body, content_type):
            if part.filename is None:
                form._entries.append((part.name, part.content.decode("utf-8", "replace")))
            else:
                form._entries.append((part.name, File(part.content, part.filename, part.content_type)))
        return form

    def encode(self) -> tuple[bytes, str]:
        """The form as `multipart/form-data`: the body, and its content type with the boundary."""
        return multipart.encode([_to_part(name, value) for name, value in self._entries])

    def __getitem__(self, key: str) -> FormDataValue | None:
        return next((value for name, value in self._entries if name == key), None)

    def __setitem__(self, key: str, value: FormDataValue) -> None:
        """Replace every value of `key`. Raises `TypeError` for a list; `append()` adds a second value."""
        if isinstance(value, list):
            raise TypeError("Expected single item in arguments to FormData.__setitem__")
        entry = (key, _to_value(value, None))
        for index, (name, _) in enumerate(self._entries):
            if name == key:
                rest = [pair for pair in self._entries[index + 1 :] if pair[0] != key]
                self._entries[index:] = [entry, *rest]
                return
        self._entries.append(entry)

    set = __setitem__

    def __delitem__(self, key: str) -> None:
        self._entries = [pair for pair in self._entries if pair[0] != key]

    delete = __delitem__

    def append(self, key: str, value: FormDataValue, filename: str | None = None) -> None:
        """Add a value to those that `key` has. A blob becomes a file named `filename`, or `blob`."""
        self._entries.append((key, _to_value(value, filename)))

    def get_all(self, key: str) -> list[FormDataValue]:
        """Every value of `key`."""
        return [value for name, value in self._entries if name == key]

    getAll = get_all

    def has(self, key: str) -> bool:
        return key in self

    def __contains__(self, key: object) -> bool:
        return any(name == key for name, _ in self._entries)

    def keys(self) -> Iterator[str]:  # type: ignore[override]
        """The names, one for each entry: a name with two values occurs twice."""
        return iter([name for name, _ in self._entries])

    def values(self) -> Iterator[FormDataValue]:  # type: ignore[override]
        return iter([value for _, value in self._entries])

    def items(self) -> Iterator[tuple[str, FormDataValue]]:  # type: ignore[override]
        return iter(list(self._entries))

    entries = items

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def js_object(self) -> Self:
        """The form itself. In production, JavaScript functions need it."""
        return self

    def __repr__(self) -> str:
        return f"FormData({self._entries!r})"


def _to_value(value: Any, filename: str | None) -> FormDataValue:
    if isinstance(value, File) and filename is None:
        return value
    if isinstance(value, Blob):
        return File(value, filename or "blob")
    return value if isinstance(value, str) else str(value)


def _to_part(name: str, value: FormDataValue) -> multipart.Part:
    if isinstance(value, File):
        return multipart.Part(name, value.content, value.name, value.content_type)
    assert isinstance(value, str)
    return multipart.Part(name, to_utf8(value))
