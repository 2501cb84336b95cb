"""Where production would serve a worker: the scheme and host of the URLs of its requests, from `dev.host` or `routes`,
as wrangler dev takes them from there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_SCHEME: Final = re.compile(r"https?://")
_HOST: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*(:\d+)?")


def origin_of(dev: Mapping[str, Any], routes: Sequence[object]) -> str:
    """The origin, such as `http://shop.example.com`; empty if nothing says it. `dev` is the section of that name. Of
    the routes the first one counts: a pattern, or an object with `pattern` and `zone_name`."""
    host = _host(dev.get("host", ""))
    if not host and routes:
        first = routes[0]
        known = [first.get("pattern"), first.get("zone_name")] if isinstance(first, Mapping) else [first]
        host = next(filter(None, map(_host, known)), "")
    return f"{dev.get('upstream_protocol', 'http')}://{host}" if host else ""


def _host(pattern: object) -> str:
    """The host in a pattern such as `*.example.com/api/*`; empty without one."""
    if not isinstance(pattern, str):
        return ""
    rest = _SCHEME.sub("", pattern, count=1)
    if rest.startswith("*/"):
        return ""
    host = rest.partition("/")[0].replace("*.", "").replace("*", "").lower()
    return host if _HOST.fullmatch(host) else ""
