"""How tests look at the data points that workers have written: `emulator.analytics("EVENTS")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from emulator.base.errors import EmulatorError
from emulator.bindings.analytics.kind import KIND
from emulator.bindings.kit import Accessor, Kit

if TYPE_CHECKING:
    from emulator.bindings.analytics.kind import OpenAnalytics
    from emulator.bindings.analytics.store import DataPoint

    class AnalyticsAccess:
        """The type of what `Emulator` has for Analytics Engine."""

        def analytics(self, name: str) -> AnalyticsDataset:
            """A dataset, by the name of a binding. Raises EmulatorError, which names those there are."""
            raise NotImplementedError

    class AsyncAnalyticsAccess:
        """The type of what `AsyncEmulator` has for Analytics Engine."""

        def analytics(self, name: str) -> AnalyticsDataset:
            """A dataset, by the name of a binding. Raises EmulatorError, which names those there are."""
            raise NotImplementedError


class AnalyticsDataset:
    """A dataset as a test uses it. Nothing here has to be awaited in async tests either."""

    def __init__(self, kit: Kit, name: str) -> None:
        __tracebackhide__ = True
        self._kit = kit
        self.name = name
        self._open = cast("OpenAnalytics", kit.open_kind(KIND))
        if name not in self._open.declared:
            there = ", ".join(sorted(self._open.declared)) or "none"
            raise EmulatorError(f"there is no dataset {name!r}; the bindings are: {there}")
        self._dataset = self._open.declared[name].name

    @property
    def points(self) -> list[DataPoint]:
        """What was written, the oldest first; each has `index`, `blobs`, `doubles` and `at`."""
        self._kit.check_open()
        return self._open.store.points(self._dataset)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query over all datasets. Raises AnalyticsError."""
        __tracebackhide__ = True
        self._kit.check_open()
        return self._open.store.query(sql).objects()

    def clear(self) -> None:
        """Remove all points."""
        self._kit.check_open()
        self._open.store.clear(self._dataset)

    def __repr__(self) -> str:
        return f"<AnalyticsDataset {self.name}>"


ACCESSOR: Final = Accessor("analytics", AnalyticsDataset, AnalyticsDataset)
