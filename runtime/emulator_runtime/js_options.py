"""Options in JavaScript's style: a dict or something similar, and keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator_runtime.body import Body
from emulator_runtime.workers.headers import Headers


def given_options(options: Any, keywords: dict[str, Any]) -> dict[str, Any]:
    """The options of a call; keyword arguments take precedence. Raises `TypeError` if `options` is not a dict."""
    if options is None:
        return dict(keywords)
    if isinstance(options, Body):
        raise TypeError(f"a {type(options).__name__} as options is not emulated; pass a dict of options")
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a dict, or an object made by to_js, not {type(options).__name__}")
    return {**options, **keywords}


def given_headers(headers: Any) -> Any:
    """The option `headers` as `Headers` accepts it: any iterable of pairs becomes a list."""
    if headers is None or isinstance(headers, (dict, list, Headers)):
        return headers
    return list(headers)
