"""Everything that the dashboard answers: what programs ask, and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.dashboard.api import Api
from emulator.dashboard.history import History
from emulator.dashboard.pages import Pages
from emulator.dashboard.rendering import Renderer

if TYPE_CHECKING:
    from starlette.routing import Route

    from emulator.log.recorder import Recorder
    from emulator.session.session import Session


class Dashboard:
    """The dashboard of a session, of which `recorder` knows what happened; None if that is not recorded."""

    def __init__(self, session: Session, recorder: Recorder | None) -> None:
        self._renderer = renderer = Renderer(session, recorder)
        self._rooms: list[Renderer | Pages | Api | History] = [renderer, Pages(session, recorder, renderer)]
        if recorder is not None:
            api = Api(session, recorder)
            self._rooms += [api, History(session, api.stories, renderer)]

    def routes(self) -> list[Route]:
        """All addresses."""
        return [*(route for room in self._rooms for route in room.routes()), *self._renderer.routes_of_nothing()]

    def close(self) -> None:
        """End the answers that never end by themselves."""
        self._renderer.close()
