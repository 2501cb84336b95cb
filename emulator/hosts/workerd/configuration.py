"""The configuration that workerd is started with: a worker and what surrounds it, as Cap'n Proto text.

One process runs one worker. Its services are the worker (with our main module around its own), the module that delivers
to it, the network, and one service for each binding that leads out of the process. What is large (the modules) is in
files beside the configuration, which embeds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulator.config.model import JSON
from emulator.hosts.workerd.protocol import CONTROL_ENTRYPOINT, INVOKE_ENTRYPOINT, delivery_module, worker_module
from emulator.hosts.workerd.source import Module, Source

MAIN_NAME: Final = "__emulator__.js"
"""The name of our main module, which no frame of a user's stack trace has."""

BINDING_HEADER: Final = "x-emulator-binding"
"""Tells the queue service which binding a request is of."""

CAPNP_HOST: Final = "emulator"
"""What workerd is asked to connect to where one worker calls another, so that calls of methods work too."""

_KINDS: Final[Mapping[str, str]] = {
    "esm": "esModule",
    "commonjs": "commonJsModule",
    "text": "text",
    "data": "data",
    "wasm": "wasm",
    "json": "json",
}
_DELIVERY_DATE: Final = "2025-01-01"


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where a process listens: paths of Unix sockets. `fetch` takes the users' requests, `control` ours, and `services`
    those of other workers, by the entrypoint that they are for (empty: the default export)."""

    fetch: Path
    control: Path
    services: Mapping[str, Path]

    @property
    def names(self) -> Sequence[str]:
        """What workerd calls them."""
        return ["fetch", "control", *(f"service {entrypoint}" for entrypoint in self.services)]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process is to run.

    `texts` and `values` are the bindings to strings and to JSON. `queues` are the names of the queue bindings, answered
    at `queue_service`; `services` says where a service binding leads, by its name: a Unix socket and an entrypoint.
    `cf_header` is the header that carries `request.cf`. `outbound` is where `fetch()` goes; None is the network.
    """

    source: Source
    compatibility_date: str
    compatibility_flags: Sequence[str]
    texts: Mapping[str, str]
    values: Mapping[str, JSON]
    queues: Sequence[str]
    queue_service: Path
    services: Mapping[str, Path]
    sockets: Sockets
    cf_header: str
    token: str
    outbound: Path | None = None


def write_configuration(settings: Settings, directory: Path) -> Path:
    """Write the configuration and the modules into `directory`, and return the file to start workerd with."""
    main = worker_module(settings.source.modules[0].name, settings.token)
    modules = (Module(MAIN_NAME, "esm", main), *settings.source.modules)
    delivery = Module("delivery.js", "esm", delivery_module())
    for number, module in enumerate((*modules, delivery)):
        (directory / f"module-{number}").write_bytes(module.content)
    embedded = [_module(number, module) for number, module in enumerate((*modules, delivery))]
    services = [
        _worker(settings, embedded[:-1]),
        _delivery(embedded[-1]),
        '(name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true)))',
        *_external(settings),
    ]
    text = (
        'using Workerd = import "/workerd/workerd.capnp";\n'
        "const config :Workerd.Config = (\n"
        f"  services = {_list(services)},\n"
        f"  sockets = {_list(list(_sockets(settings)))},\n"
        '  logging = (structuredLogging = true, stdoutPrefix = "", stderrPrefix = ""),\n'
        ");\n"
    )
    file = directory / "config.capnp"
    file.write_text(text, encoding="utf-8")
    return file


def quoted(text: str) -> str:
    """`text` as a literal of Cap'n Proto, which takes UTF-8 and the escapes of C."""
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


def _worker(settings: Settings, modules: Sequence[str]) -> str:
    flags = ", ".join(map(quoted, settings.compatibility_flags))
    outbound = ', globalOutbound = "outbound"' if settings.outbound else ""
    return (
        f'(name = "worker", worker = (modules = {_list(modules)}, '
        f"compatibilityDate = {quoted(settings.compatibility_date)}, compatibilityFlags = [{flags}], "
        f"bindings = {_list(list(_bindings(settings)))}{outbound}))"
    )


def _delivery(module: str) -> str:
    return (
        f'(name = "delivery", worker = (modules = [{module}], compatibilityDate = {quoted(_DELIVERY_DATE)}, '
        'compatibilityFlags = ["experimental", "service_binding_extra_handlers"], bindings = ['
        f'(name = "WORKER", service = (name = "worker", entrypoint = "{INVOKE_ENTRYPOINT}")), '
        f'(name = "CONTROL", service = (name = "worker", entrypoint = "{CONTROL_ENTRYPOINT}"))]))'
    )


def _bindings(settings: Settings) -> Iterator[str]:
    for name, text in settings.texts.items():
        yield f"(name = {quoted(name)}, text = {quoted(text)})"
    for name, value in settings.values.items():
        yield f"(name = {quoted(name)}, json = {quoted(json.dumps(value))})"
    for name in settings.queues:
        yield f"(name = {quoted(name)}, queue = {quoted(f'queue {name}')})"
    for name in settings.services:
        yield f"(name = {quoted(name)}, service = {quoted(f'service {name}')})"


def _external(settings: Settings) -> Iterator[str]:
    for name in settings.queues:
        header = f'injectRequestHeaders = [(name = "{BINDING_HEADER}", value = {quoted(name)})]'
        yield _reached_at(f"queue {name}", settings.queue_service, header)
    for name, path in settings.services.items():
        yield _reached_at(f"service {name}", path, f'capnpConnectHost = "{CAPNP_HOST}"')
    if settings.outbound:
        yield _reached_at("outbound", settings.outbound, "style = proxy")


def _reached_at(name: str, path: Path, options: str) -> str:
    return f"(name = {quoted(name)}, external = (address = {quoted(f'unix:{path}')}, http = ({options})))"


def _sockets(settings: Settings) -> Iterator[str]:
    sockets = settings.sockets
    options = f"style = proxy, cfBlobHeader = {quoted(settings.cf_header)}"
    yield _socket("fetch", sockets.fetch, options, f'(name = "worker", entrypoint = "{INVOKE_ENTRYPOINT}")')
    yield _socket("control", sockets.control, "", '"delivery"')
    for entrypoint, path in sockets.services.items():
        service = '(name = "worker"' + (f", entrypoint = {quoted(entrypoint)})" if entrypoint else ")")
        yield _socket(f"service {entrypoint}", path, f'capnpConnectHost = "{CAPNP_HOST}"', service)


def _socket(name: str, path: Path, options: str, service: str) -> str:
    return f"(name = {quoted(name)}, address = {quoted(f'unix:{path}')}, http = ({options}), service = {service})"
