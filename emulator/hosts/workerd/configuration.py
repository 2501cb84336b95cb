"""Writes workerd's configuration as Cap'n Proto text: a worker and the services around it.

A process runs one worker. Its services are the worker (with the emulator's main module around its own), the module that
delivers to it, the network, and one service for each binding that leads out of the process. The modules are in files
beside the configuration, which embeds them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from emulator.bindings.wiring import CF_HEADER, Answered, OtherWorker, Reference, TcpServer, Value, Wiring, targets
from emulator.hosts.workerd.binding_server import BINDING_HEADER, binding_id
from emulator.hosts.workerd.lanes import LANE_HEADER, Lanes, has_twins, twin
from emulator.hosts.workerd.protocol import (
    CONTROL_ENTRYPOINT,
    INVOKE_ENTRYPOINT,
    LANES_NAME,
    delivery_module,
    lanes_module,
    services_module,
    worker_module,
)
from emulator.hosts.workerd.source import Module, Source

MAIN_NAME: Final = "__emulator__.js"
"""The name of the emulator's main module. Its frames are not shown in stack traces."""

INSPECTOR: Final = "inspector"
"""What is said for the name of the port for debuggers, to which workerd gives none."""

_KINDS: Final[Mapping[str, str]] = {
    "esm": "esModule",
    "commonjs": "commonJsModule",
    "text": "text",
    "data": "data",
    "wasm": "wasm",
    "json": "json",
}
_DELIVERY_DATE: Final = "2025-01-01"


class Sockets(msgspec.Struct, frozen=True):
    """The paths of the Unix sockets on which a process listens. `fetch` is for users' requests, `control` for the
    emulator's, and `debug` for calls of other workers, if there are any. With `has_inspector`, it listens on a port for
    debuggers, too. `lanes` are for users' requests, one for each lane; their names are those of the files."""

    fetch: Path
    control: Path
    debug: Path | None = None
    has_inspector: bool = False
    lanes: Sequence[Path] = ()

    @property
    def names(self) -> Sequence[str]:
        """The sockets by the names that workerd gives them."""
        debug = ["debug-port"] if self.debug is not None else []
        lanes = [path.name for path in self.lanes]
        return ["fetch", "control", *lanes, *debug, *([INSPECTOR] if self.has_inspector else [])]


class WorkerdSettings(msgspec.Struct, frozen=True):
    """The settings of a process.

    `worker` is the name of the worker, and `wirings` configure its bindings, each with its kind; `binding_server`
    answers them. `find_worker` returns the debug port of another worker, or why the binding of that name cannot lead
    to it. `cf_header` is the header that contains `request.cf`. `outbound` is the socket for `fetch()`; None means the
    network. `lanes` tell invocations apart; None if nobody needs that.
    """

    worker: str
    source: Source
    compatibility_date: str
    compatibility_flags: Sequence[str]
    wirings: Sequence[tuple[str, Wiring]]
    binding_server: Path
    find_worker: Callable[[str, str], Path | str]
    sockets: Sockets
    cf_header: str
    token: str
    outbound: Path | None = None
    lanes: Lanes | None = None


def write_configuration(settings: WorkerdSettings, directory: Path) -> Path:
    """Write the configuration and the modules to `directory`, and return the configuration file."""
    main = worker_module(settings.source.modules[0].name, settings.token)
    tells_fetches = settings.lanes is not None and not settings.lanes.is_watched
    lanes = Module(LANES_NAME, "esm", lanes_module(settings.token, tells_fetches=tells_fetches))
    modules = (Module(MAIN_NAME, "esm", main), *settings.source.modules, lanes)
    own = [Module("delivery.js", "esm", delivery_module())]
    if targets(settings.wirings):
        own.append(Module("services.js", "esm", services_module()))
    extensions = [Module(name, "esm", source.encode()) for name, source in _extensions(_wirings(settings)).items()]
    written = (*modules, *own, *extensions)
    for number, module in enumerate(written):
        (directory / f"module-{number}").write_bytes(module.content)
    embedded = [_module(number, module) for number, module in enumerate(written)]
    count, own_count = len(modules), len(modules) + len(own)
    services = [
        _worker(settings, embedded[:count]),
        _delivery(embedded[count], settings),
        *(_services(settings, module) for module in embedded[count + 1 : own_count]),
        '(name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true)))',
        *_external(settings),
    ]
    text = (
        'using Workerd = import "/workerd/workerd.capnp";\n'
        "const config :Workerd.Config = (\n"
        f"  services = {_list(services)},\n"
        f"  sockets = {_list(list(_sockets(settings)))},\n"
        f"{_extension(embedded[own_count:])}"
        '  logging = (structuredLogging = true, stdoutPrefix = "", stderrPrefix = ""),\n'
        ");\n"
    )
    file = directory / "config.capnp"
    file.write_text(text, encoding="utf-8")
    return file


def quoted(text: str) -> str:
    """`text` as a Cap'n Proto literal, which allows UTF-8 and C's escapes."""
    out = []
    for character in text:
        if character in '"\\':
            out.append(f"\\{character}")
        elif character < " " or character == "\x7f":
            out.append(f"\\x{ord(character):02x}")
        else:
            out.append(character)
    return f'"{"".join(out)}"'


def _list(items: Sequence[str]) -> str:
    return "[\n    " + ",\n    ".join(items) + "\n  ]"


def _module(number: int, module: Module) -> str:
    return f'(name = {quoted(module.name)}, {_KINDS[module.kind]} = embed "module-{number}")'


def _extension(modules: Sequence[str]) -> str:
    internal = [f"{module[:-1]}, internal = true)" for module in modules]
    return f"  extensions = [(modules = {_list(internal)})],\n" if internal else ""


def _extensions(wirings: Sequence[tuple[str, Wiring]]) -> dict[str, str]:
    """The source of every module that the bindings need, by name."""
    return {module.name: module.source for _, wiring in wirings for module in wiring.modules}


def _worker(settings: WorkerdSettings, modules: Sequence[str]) -> str:
    flags = ", ".join(map(quoted, settings.compatibility_flags))
    outbound = ', globalOutbound = "outbound"' if settings.outbound else ""
    more = "".join(f", {name} = {value}" for name, value in _worker_settings(settings).items())
    return (
        f'(name = "worker", worker = (modules = {_list(modules)}, '
        f"compatibilityDate = {quoted(settings.compatibility_date)}, compatibilityFlags = [{flags}], "
        f"bindings = {_list(list(_bindings(settings)))}{outbound}{more}))"
    )


def _worker_settings(settings: WorkerdSettings) -> dict[str, str]:
    """The bindings' settings of the worker itself; lists in several bindings are joined."""
    found: dict[str, list[str]] = {}
    lists: set[str] = set()
    for kind, wiring in settings.wirings:
        for name, value in wiring.worker.items():
            if isinstance(value, Sequence) and not isinstance(value, str | Reference):
                lists.add(name)
                found.setdefault(name, []).extend(_value(each, kind, wiring, settings) for each in value)
            else:
                found[name] = [_value(value, kind, wiring, settings)]
    return {name: f"[{', '.join(values)}]" if name in lists else values[0] for name, values in found.items()}


def _wirings(settings: WorkerdSettings) -> Sequence[tuple[str, Wiring]]:
    """All bindings of the worker, each with its kind: its own, and where it has lanes what is for them."""
    lanes = settings.lanes
    if lanes is None or not lanes.count:
        return settings.wirings
    twins = [
        (kind, twin(wiring, number))
        for kind, wiring in settings.wirings
        if has_twins(wiring)
        for number in range(1, lanes.count + 1)
    ]
    return [*settings.wirings, *twins, ("emulator", lanes.wiring())]


def _on_lane(number: int) -> str:
    """The entrypoint that invokes the worker on a lane."""
    props = quoted(json.dumps({"lane": number}))
    return f'(name = "worker", entrypoint = "{INVOKE_ENTRYPOINT}", props = (json = {props}))'


def _delivery(module: str, settings: WorkerdSettings) -> str:
    numbers = range(1, 1 if settings.lanes is None else settings.lanes.count + 1)
    lanes = "".join(f', (name = "WORKER{number}", service = {_on_lane(number)})' for number in numbers)
    more = "".join(
        f", (name = {quoted(name)}, service = {_value(reference, kind, wiring, settings)})"
        for kind, wiring in settings.wirings
        for name, reference in wiring.delivery.items()
    )
    return (
        f'(name = "delivery", worker = (modules = [{module}], compatibilityDate = {quoted(_DELIVERY_DATE)}, '
        'compatibilityFlags = ["experimental", "service_binding_extra_handlers"], bindings = ['
        f'(name = "WORKER", service = (name = "worker", entrypoint = "{INVOKE_ENTRYPOINT}")), '
        f'(name = "CONTROL", service = (name = "worker", entrypoint = "{CONTROL_ENTRYPOINT}")), '
        f'(name = "CODED", service = (name = "delivery", entrypoint = "coded")){more}{lanes}]))'
    )


def _services(settings: WorkerdSettings, module: str) -> str:
    return (
        f'(name = "services", worker = (modules = [{module}], compatibilityDate = '
        f'{quoted(settings.compatibility_date)}, compatibilityFlags = ["experimental"], bindings = ['
        '(name = "DEBUG_PORT", workerdDebugPort = void)]))'
    )


def _bindings(settings: WorkerdSettings) -> Iterator[str]:
    for kind, wiring in _wirings(settings):
        if wiring.binding:
            yield _value({"name": wiring.name, **wiring.binding}, kind, wiring, settings)


def _value(value: Value, kind: str, wiring: Wiring, settings: WorkerdSettings) -> str:
    """A value as text. References lead to services of `wiring`."""
    if isinstance(value, Reference):
        service = wiring.services[value.service]
        if isinstance(service, OtherWorker):
            return _other_worker(wiring.name, service, settings)
        return quoted(_service_name(kind, wiring, value.service))
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name} = {_value(each, kind, wiring, settings)}' for name, each in value.items())})"
    return f"[{', '.join(_value(each, kind, wiring, settings) for each in value)}]"


def _other_worker(binding: str, other: OtherWorker, settings: WorkerdSettings) -> str:
    """The service that stands for another worker, with what `services.js` must know of it."""
    found = settings.find_worker(binding, other.worker)
    props: dict[str, object] = {"absent": found}
    if isinstance(found, Path):
        props = {"address": f"unix:{found}", "props": other.props or {}}
        if other.entrypoint:
            props["entrypoint"] = other.entrypoint
    return f'(name = "services", props = (json = {quoted(json.dumps(props))}))'


def _service_name(kind: str, wiring: Wiring, service: str) -> str:
    return f"{kind} {wiring.name} {service}".rstrip()


def _external(settings: WorkerdSettings) -> Iterator[str]:
    for kind, wiring in settings.wirings:
        for name, service in wiring.services.items():
            if isinstance(service, Answered):
                header = quoted(binding_id(settings.worker, kind, wiring, name))
                own = f'(name = "{BINDING_HEADER}", value = {header})'
                options = f"injectRequestHeaders = [{own}]"
                if service.as_proxy:
                    options = f"style = proxy, cfBlobHeader = {quoted(CF_HEADER.decode())}, {options}"
                yield _reached_at(_service_name(kind, wiring, name), settings.binding_server, options)
                yield from _twins(kind, wiring, name, own, settings)
            elif isinstance(service, TcpServer):
                host = f"[{service.host}]" if ":" in service.host else service.host
                address = quoted(f"{host}:{service.port}")
                named = quoted(_service_name(kind, wiring, name))
                yield f"(name = {named}, external = (address = {address}, tcp = ()))"
    if settings.outbound:
        yield _reached_at("outbound", settings.outbound, "style = proxy")


def _twins(kind: str, wiring: Wiring, name: str, own: str, settings: WorkerdSettings) -> Iterator[str]:
    """The services of a binding's twins, which name their lane beside the header `own` of the binding."""
    lanes = settings.lanes
    if lanes is None or not has_twins(wiring):
        return
    for number in range(1, lanes.count + 1):
        options = f'injectRequestHeaders = [{own}, (name = "{LANE_HEADER}", value = "{lanes.id}/{number}")]'
        yield _reached_at(_service_name(kind, twin(wiring, number), name), settings.binding_server, options)


def _reached_at(name: str, path: Path, options: str) -> str:
    return f"(name = {quoted(name)}, external = (address = {quoted(f'unix:{path}')}, http = ({options})))"


def _sockets(settings: WorkerdSettings) -> Iterator[str]:
    sockets = settings.sockets
    options = f"style = proxy, cfBlobHeader = {quoted(settings.cf_header)}"
    yield _socket("fetch", sockets.fetch, options, f'(name = "worker", entrypoint = "{INVOKE_ENTRYPOINT}")')
    for number, path in enumerate(sockets.lanes, 1):
        yield _socket(path.name, path, options, _on_lane(number))
    yield _socket("control", sockets.control, "", '"delivery"')


def _socket(name: str, path: Path, options: str, service: str) -> str:
    return f"(name = {quoted(name)}, address = {quoted(f'unix:{path}')}, http = ({options}), service = {service})"
