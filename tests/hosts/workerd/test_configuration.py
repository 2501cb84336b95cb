"""How the wirings of bindings become text that workerd reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulator.bindings.wiring import Answered, ExtensionModule, OtherWorker, Reference, WireResponse, Wiring
from emulator.hosts.workerd.configuration import Sockets, WorkerdSettings, write_configuration
from emulator.hosts.workerd.source import Module, Source

ANSWERED = Answered(lambda _request: WireResponse())


def configuration(directory: Path, *wirings: Wiring) -> str:
    """The text for a worker `app` with these bindings, without spaces at the beginning of lines."""
    settings = WorkerdSettings(
        worker="app",
        source=Source((Module("index.js", "esm", b""),)),
        compatibility_date="2026-04-01",
        compatibility_flags=(),
        wirings=[("kv", wiring) for wiring in wirings],
        binding_server=Path("/s/b"),
        find_worker=lambda binding, worker: Path(f"/s/{worker}") if worker == "mailer" else f"{binding}: no {worker}",
        sockets=Sockets(Path("/s/f"), Path("/s/c")),
        cf_header="x-cf",
        token="t",
    )
    return write_configuration(settings, directory).read_text()


def test_a_binding_leads_to_its_own_service_which_says_whose_it_is(tmp_path: Path) -> None:
    text = configuration(tmp_path, Wiring("CACHE", {"kvNamespace": Reference()}, {"": ANSWERED}))
    assert '(name = "CACHE", kvNamespace = "kv CACHE")' in text
    assert (
        '(name = "kv CACHE", external = (address = "unix:/s/b", http = (injectRequestHeaders = '
        '[(name = "x-emulator-binding", value = "app/kv/CACHE")])))'
    ) in text


def test_a_binding_may_have_several_services_and_nested_values(tmp_path: Path) -> None:
    inner = [{"name": "fetcher", "service": Reference("data")}, {"name": "limit", "json": "5"}]
    binding: Any = {"wrapped": {"moduleName": "x:y", "innerBindings": inner, "fast": True, "size": 3}}
    services: Any = {"data": ANSWERED}
    text = configuration(tmp_path, Wiring("DB", binding, services))
    assert (
        '(name = "DB", wrapped = (moduleName = "x:y", innerBindings = [(name = "fetcher", service = "kv DB data"), '
        '(name = "limit", json = "5")], fast = true, size = 3))'
    ) in text
    assert 'value = "app/kv/DB/data"' in text


def test_a_binding_to_another_worker_says_where_that_is_or_why_it_is_not(tmp_path: Path) -> None:
    here = Wiring("MAIL", {"service": Reference()}, {"": OtherWorker("mailer", "Send", {"from": "a"})})
    gone = Wiring("AUTH", {"service": Reference()}, {"": OtherWorker("auth")})
    text = configuration(tmp_path, here, gone).replace('\\"', "'")
    found = "{'address': 'unix:/s/mailer', 'props': {'from': 'a'}, 'entrypoint': 'Send'}"
    assert f'(name = "MAIL", service = (name = "services", props = (json = "{found}")))' in text
    assert """(name = "AUTH", service = (name = "services", props = (json = "{'absent': 'AUTH: no auth'}")))""" in text
    assert text.count('(name = "services", worker = ') == 1
    assert '(name = "services"' not in configuration(tmp_path, Wiring("A", {"x": Reference()}, {"": ANSWERED}))


def test_what_bindings_say_about_the_worker_is_put_together(tmp_path: Path) -> None:
    room, lobby = ({"className": name} for name in ("Room", "Lobby"))
    text = configuration(
        tmp_path,
        Wiring("", {}, {"": ANSWERED}, worker={"cacheApiOutbound": Reference()}),
        Wiring("ROOM", {"x": "y"}, worker={"durableObjectNamespaces": [room]}),
        Wiring("LOBBY", {"x": "y"}, worker={"durableObjectNamespaces": [lobby]}),
    )
    assert (
        ', cacheApiOutbound = "kv", durableObjectNamespaces = [(className = "Room"), (className = "Lobby")]))'
    ) in text
    assert '(name = ""' not in text


def test_a_module_that_several_bindings_need_is_there_once(tmp_path: Path) -> None:
    module = ExtensionModule("x:y", "export default 1;")
    text = configuration(tmp_path, Wiring("A", {"x": "y"}, modules=[module]), Wiring("B", {"x": "y"}, modules=[module]))
    (line,) = [line for line in text.splitlines() if '"x:y"' in line]
    assert line.strip() == '(name = "x:y", esModule = embed "module-4", internal = true)'
    assert (tmp_path / "module-4").read_text() == "export default 1;"
