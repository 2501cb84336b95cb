"""Rate limits, as a binding kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from emulator.base.ranges import Range
from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.model import WorkerConfig
from emulator.config.section import Key, Section

if TYPE_CHECKING:
    from emulator.bindings.rate_limit.limiter import Limiter
    from emulator.bindings.wiring import WireRequest, WireResponse, Wiring

RATELIMIT_KEYS: Final[Mapping[str, Check]] = {
    "name": checks.BINDING,
    "namespace_id": checks.TEXT,
    "simple": checks.OBJECT,
}
SIMPLE_KEYS: Final[Mapping[str, Check]] = {
    "limit": checks.whole(Range(1, 1_000_000_000)),
    "period": Check("10 or 60", lambda value: value in {10, 60} and not isinstance(value, bool)),
}


class RateLimit(NamedTuple):
    """At most `limit` calls for a key in `period` seconds, counted by everybody who has the same `namespace_id`."""

    namespace_id: str
    limit: int
    period: int


class RateLimitKind(BindingKind[RateLimit]):
    """`ratelimits`."""

    name = "rate_limit"
    keys = {"ratelimits": Key(checks.ARRAY)}
    declared_as = ("a rate limit", 'under "ratelimits"')
    documentation = ("[rate limit](small-bindings.md#rate-limits)", "`ratelimits[]`", "`limit`", "`limit`")

    def read(self, section: Section) -> None:
        """Read the valid rate limits."""
        for path, item in section.items("ratelimits"):
            sound = section.read_object(path, item, RATELIMIT_KEYS, required=("name", "namespace_id", "simple"))
            if sound.keys() != RATELIMIT_KEYS.keys():
                continue
            simple = section.read_object((*path, "simple"), sound["simple"], SIMPLE_KEYS, required=tuple(SIMPLE_KEYS))
            if simple.keys() == SIMPLE_KEYS.keys() and section.claim(sound["name"], (*path, "name")):
                settings = RateLimit(sound["namespace_id"], simple["limit"], simple["period"])
                section.bind(self.name, sound["name"], settings, (*path, "name"))

    def open(self, resources: Resources) -> OpenKind[RateLimit]:
        """Count on the session's clock."""
        return _OpenRateLimits(resources)

    def describe(self, worker: WorkerConfig, settings: RateLimit) -> str:
        """What it allows."""
        return f"rate limit {settings.limit:,} in {settings.period} s"

    def python_type(self, settings: RateLimit) -> str:
        """The class in `python_stub`."""
        return "RateLimit"

    def typescript_type(self, settings: RateLimit) -> str:
        """workerd's own."""
        return "RateLimit"


class _OpenRateLimits(OpenKind[RateLimit]):
    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock
        self._limiters: dict[str, Limiter] = {}

    def limit(self, settings: RateLimit, options: Any) -> bool:
        """Count a call. Raises ValueError with the service's words."""
        from emulator.bindings.rate_limit.limiter import Limiter, read_options

        asked = read_options(options, settings.limit, settings.period)
        if settings.namespace_id not in self._limiters:
            self._limiters[settings.namespace_id] = Limiter(self._clock)
        return self._limiters[settings.namespace_id].limit(*asked)

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, RateLimit]) -> Mapping[str, object]:
        from emulator.bindings.rate_limit.python import RateLimitBinding

        return {name: RateLimitBinding(partial(self.limit, settings)) for name, settings in bindings.items()}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, RateLimit]) -> Iterator[Wiring]:
        if not bindings:
            return
        from emulator.bindings.wiring import extension

        source = Path(__file__).parent / "limiter.js"
        for name, settings in bindings.items():
            yield extension(name, "emulator:rate-limit", source, partial(self._answer, settings))

    def _answer(self, settings: RateLimit, request: WireRequest) -> WireResponse:
        from emulator.bindings.wiring import json_answer

        try:
            return json_answer({"success": self.limit(settings, json.loads(request.body))})
        except ValueError as error:
            return json_answer({"error": str(error)})


RATE_LIMITS: Final = RateLimitKind()
