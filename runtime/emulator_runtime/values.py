"""Values that come from outside a worker: dicts whose keys are also attributes, like objects in production."""

from __future__ import annotations

from typing import Any

_LEAVES = frozenset({str, int, float, bool, type(None), bytes})


class AttributeDict(dict[str, Any]):
    """A dict whose keys can be read, set and deleted as attributes: `body["type"]` is `body.type`.

    A key that is also the name of a dict method (`items`, `keys`, `get`, ...) can only be used with an index.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(self._missing(name), name=name, obj=self) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(self._missing(name), name=name, obj=self) from None

    def _missing(self, name: str) -> str:
        keys = ", ".join(map(str, self)) if self else "none, it is empty"
        return f"no key {name!r}; the keys are: {keys}"

    def to_py(self, **_options: Any) -> dict[str, Any]:
        """A plain dict, also at deeper levels. Code that expects a JavaScript object calls this."""
        return {key: _plain(value) for key, value in self.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, AttributeDict):
        return value.to_py()
    if type(value) is list:
        return [_plain(item) for item in value]
    return value


def to_attribute_dict(value: Any) -> Any:
    """A copy of `value` in which every dict, also inside lists and tuples, is a `AttributeDict`.

    Lists stay lists. A value without dicts is returned unchanged.
    """
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is dict:
        record = AttributeDict(value)
        for key, item in value.items():
            if type(item) not in _LEAVES:
                record[key] = to_attribute_dict(item)
        return record
    if kind is list:
        for item in value:
            if type(item) not in _LEAVES:
                return [to_attribute_dict(item) for item in value]
        return value
    if kind is tuple:
        return tuple([to_attribute_dict(item) for item in value])
    return value
