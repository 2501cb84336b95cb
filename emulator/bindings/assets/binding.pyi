from typing import Any

from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import FetchResponse

class AssetsFetcher:
    """The static assets of the worker."""

    async def fetch(self, request: Request | str, /, **options: Any) -> FetchResponse:
        """The asset at a URL, whose host may be any, or that a request is for."""
