from collections.abc import Mapping, Sequence
from typing import Any

class AnalyticsEngineDataset:
    """A dataset of Analytics Engine."""

    def writeDataPoint(
        self,
        event: Mapping[str, Any] | None = None,
        /,
        *,
        indexes: Sequence[str | bytes | None] = ...,
        blobs: Sequence[str | bytes | None] = ...,
        doubles: Sequence[float] = ...,
    ) -> None:
        """Record a point: one index, up to 20 blobs and up to 20 doubles."""
