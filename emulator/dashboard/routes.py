"""Everything that the dashboard answers: what programs ask, and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.dashboard.api import Api

if TYPE_CHECKING:
    from starlette.routing import Route

    from emulator.log.recorder import Recorder
    from emulator.session.session import Session


class Dashboard:
    """The dashboard of a session, of which `recorder` knows what happened."""

    def __init__(self, session: Session, recorder: Recorder) -> None:
        self._rooms = [Api(session, recorder)]

    def routes(self) -> list[Route]:
        """All addresses."""
        return [route for room in self._rooms for route in room.routes()]

    def close(self) -> None:
        """End the answers that never end by themselves."""
        for room in self._rooms:
            room.close()
