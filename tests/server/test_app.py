"""Which gateway a request goes to, and what goes to the control plane."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from emulator.server.app import App


class RecordingGateway:
    """A gateway that records the paths that it is asked for."""

    def __init__(self, name: str, *, tunnels_websockets: bool = False, handlers: tuple[str, ...] = ("fetch",)) -> None:
        self.host = SimpleNamespace(
            config=SimpleNamespace(name=name), tunnels_websockets=tunnels_websockets, handlers=handlers
        )
        self.paths: list[str] = []

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.paths.append(scope["path"])


class RecordingControl:
    """A control plane that records for which worker it is asked, and how often it is created."""

    def __init__(self) -> None:
        self.created = 0
        self.workers: list[str] = []

    def create(self) -> Any:
        self.created += 1
        return self

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.workers.append(scope["emulator.worker"].config.name)


def scope_of(path: str, host: str = "localhost:8787") -> dict[str, Any]:
    return {"type": "http", "path": path, "headers": [(b"accept", b"*/*"), (b"host", host.encode())]}


async def ask(app: App, scope: dict[str, Any]) -> None:
    await app(scope, cast("Any", None), cast("Any", None))


def app_of(*gateways: RecordingGateway, control: RecordingControl | None = None) -> App:
    return App(cast("Any", gateways), (control or RecordingControl()).create)


async def test_a_single_worker_gets_every_request_whatever_the_host() -> None:
    shop = RecordingGateway("shop")
    app = app_of(shop)
    for host in ("localhost", "mail.localhost", "example.com"):
        await ask(app, scope_of("/", host))
    assert shop.paths == ["/", "/", "/"]


@pytest.mark.parametrize(
    ("host", "worker"),
    [
        ("localhost:8787", "shop"),
        ("mail.localhost:8787", "mail"),
        ("MAIL.LOCALHOST", "mail"),
        ("shop.localhost", "shop"),
        ("mail.example.com", "shop"),
        ("unknown.localhost", "shop"),
        ("", "shop"),
    ],
)
async def test_each_of_several_workers_answers_at_its_name(host: str, worker: str) -> None:
    gateways = {"shop": RecordingGateway("shop"), "mail": RecordingGateway("Mail")}
    app = app_of(*gateways.values())
    for _ in range(2):  # the second answer comes from the cache
        await ask(app, scope_of("/x", host))
    assert gateways.pop(worker).paths == ["/x", "/x"]
    assert [gateway.paths for gateway in gateways.values()] == [[]]


async def test_the_control_plane_is_created_once_and_knows_the_worker() -> None:
    shop, control = RecordingGateway("shop"), RecordingControl()
    app = app_of(shop, RecordingGateway("mail"), control=control)
    assert control.created == 0
    await ask(app, scope_of("/cdn-cgi/handler/scheduled", "mail.localhost"))
    await ask(app, scope_of("/cdn-cgi/handler/scheduled"))
    assert (control.created, control.workers, shop.paths) == (1, ["mail", "shop"], [])


async def test_wranglers_path_for_schedules_is_the_workers_own_where_it_has_no_such_handler() -> None:
    shop, cleaner = RecordingGateway("shop"), RecordingGateway("cleaner", handlers=("fetch", "scheduled"))
    control = RecordingControl()
    app = app_of(shop, cleaner, control=control)
    for host in ("shop.localhost", "cleaner.localhost"):
        for path in ("/__scheduled", "/__scheduled/more", "/__schedule"):
            await ask(app, scope_of(path, host))
    assert control.workers == ["cleaner"]
    assert shop.paths == ["/__scheduled", "/__scheduled/more", "/__schedule"]
    assert cleaner.paths == ["/__scheduled/more", "/__schedule"]


def test_a_websocket_is_tunnelled_to_a_worker_that_runs_elsewhere_and_never_for_the_control_plane() -> None:
    app = app_of(RecordingGateway("shop"), RecordingGateway("chat", tunnels_websockets=True))
    assert app.tunnels_websocket(scope_of("/", "chat.localhost"), b"/")
    assert not app.tunnels_websocket(scope_of("/", "shop.localhost"), b"/")
    assert not app.tunnels_websocket(scope_of("/", "chat.localhost"), b"/cdn-cgi/x")
