"""Who it is that telemetry is of: a worker, or the emulator itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

SCOPE: Final = "workers-emulator"
"""The name of the emulator as the source of telemetry, and as a service where no worker is meant."""


class ServiceResources:
    """The resources of workers, by name. What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before."""

    def __init__(self) -> None:
        self.version = version("workers-emulator")
        self._given = OTELResourceDetector().detect()
        self._known: dict[str, Resource] = {}

    def of(self, worker: str) -> Resource:
        """The resource of a worker, or of the emulator if the name is empty."""
        found = self._known.get(worker)
        if found is None:
            own = {"service.name": worker or SCOPE}
            if worker:
                own |= {"faas.name": worker, "cloudflare.script_name": worker}
            found = self._known[worker] = Resource.create(own).merge(self._given)
        return found
