"""`Map` and `Set` of JavaScript, which are also a dict and a set of Python. Keys and items have to be hashable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSet
from typing import Any, Self


class Map(dict[Any, Any]):
    """Call `Map.new([["key", value], ...])`. It keeps the order in which keys were added."""

    __slots__ = ()

    def __init__(self, entries: Any = ()) -> None:
        super().__init__(entries if isinstance(entries, Mapping) else [tuple(entry) for entry in entries or ()])

    @classmethod
    def new(cls, entries: Any = ()) -> Self:
        return cls(entries)

    @property
    def size(self) -> int:
        return len(self)

    def set(self, key: Any, value: Any) -> Self:
        self[key] = value
        return self

    def has(self, key: Any) -> bool:
        return key in self

    def delete(self, key: Any) -> bool:
        """Remove a key. Returns whether it was there."""
        if key not in self:
            return False
        del self[key]
        return True

    def entries(self) -> Iterator[list[Any]]:
        return ([key, value] for key, value in self.items())

    def forEach(self, callback: Callable[..., Any]) -> None:
        """Call `callback(value, key, map)` for each entry."""
        for key, value in list(self.items()):
            callback(value, key, self)

    def to_py(self, **_options: Any) -> dict[Any, Any]:
        """A plain dict."""
        return dict(self)


class Set(MutableSet[Any]):
    """Call `Set.new([item, ...])`. It keeps the order in which items were added."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[Any] | None = ()) -> None:
        self._items = dict.fromkeys(items or ())

    @classmethod
    def new(cls, items: Iterable[Any] | None = ()) -> Self:
        return cls(items)

    @property
    def size(self) -> int:
        return len(self._items)

    def add(self, value: Any) -> Self:  # type: ignore[override]
        self._items[value] = None
        return self

    def discard(self, value: Any) -> None:
        self._items.pop(value, None)

    def has(self, value: Any) -> bool:
        return value in self._items

    def delete(self, value: Any) -> bool:
        """Remove an item. Returns whether it was there."""
        if value not in self._items:
            return False
        del self._items[value]
        return True

    def clear(self) -> None:
        self._items.clear()

    def values(self) -> Iterator[Any]:
        return iter(self._items)

    keys = values

    def entries(self) -> Iterator[list[Any]]:
        return ([item, item] for item in self._items)

    def forEach(self, callback: Callable[..., Any]) -> None:
        """Call `callback(item, item, set)` for each item."""
        for item in list(self._items):
            callback(item, item, self)

    def to_py(self, **_options: Any) -> set[Any]:
        """A plain set."""
        return set(self._items)

    def __contains__(self, value: object) -> bool:
        return value in self._items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Set({list(self._items)!r})"
