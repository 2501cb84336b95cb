"""The code of a worker that has only assets: what none of them answers does not exist."""

from workers import Response, WorkerEntrypoint  # type: ignore[import-not-found]  # it is there for worker code


class Default(WorkerEntrypoint):  # type: ignore[misc]  # worker code
    """Answers nothing."""

    async def fetch(self, _request: object) -> Response:
        """That it does not exist."""
        return Response(None, status=404)
