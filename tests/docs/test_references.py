"""The pages to look things up name everything that there is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Self

import pytest

import emulator.testing
from emulator.bindings.queue.config import CONSUMER_KEYS, PRODUCER_KEYS, QUEUES_KEYS
from emulator.bindings.queue.testing import Queue
from emulator.bindings.registry import KINDS
from emulator.config import reading
from emulator.server import addresses
from emulator.server.app import SCHEDULED_PATH
from emulator.testing import plugin
from emulator_runtime import workers
from tests.docs.blocks import ROOT, blocks_in, prose_of

VALUES = ("Chaos", "Delivery", "Message", "Metrics", "OutboundCall", "QueueResult", "RetryBatch", "RetryMessage")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def missing(names: Iterable[str], text: str) -> list[str]:
    """The names that are no word of a page."""
    words = set(re.findall(r"\w+", text))
    return [name for name in names if name not in words]


def in_code(text: str) -> str:
    """What stands between backticks on a page."""
    return " ".join(re.findall(r"`([^`\n]+)`", text))


def public(owner: object) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


def test_every_name_of_the_testing_kit_is_in_the_manual() -> None:
    assert missing(emulator.testing.__all__, in_code(prose_of(ROOT / "docs/testing.md"))) == []


@pytest.mark.parametrize(
    "owner", [emulator.testing.Emulator, emulator.testing.Outbound, Queue], ids=lambda owner: owner.__name__
)
def test_every_method_of_the_testing_kit_is_in_the_manual(owner: type) -> None:
    assert missing(public(owner), page("testing.md")) == []


@pytest.mark.parametrize("name", VALUES)
def test_every_attribute_of_a_value_is_in_the_manual(name: str) -> None:
    assert missing(public(getattr(emulator.testing, name)), page("testing.md")) == []


class Parser:
    """Stands in for pytest's: it keeps what is declared to it."""

    def __init__(self) -> None:
        self.settings: list[str] = []
        self.options: list[str] = []

    def addini(self, name: str, *_: object, **__: object) -> None:
        self.settings.append(name)

    def getgroup(self, _name: str) -> Self:
        return self

    def addoption(self, name: str, **_: object) -> None:
        self.options.append(name)


def test_every_setting_of_the_plugin_is_in_the_manual() -> None:
    parser: Any = Parser()
    plugin.pytest_addoption(parser)
    [shown] = [block.text for block in blocks_in("ini") if block.page == "docs/testing.md"]
    assert parser.settings
    assert missing(parser.settings, shown) == []
    manual = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    assert [option for option in parser.options if option not in manual] == []
    assert missing((*plugin._OPTIONS, "emulator", "async_emulator"), in_code(prose_of(ROOT / "docs/testing.md"))) == []


def test_every_name_of_the_worker_api_is_on_its_page() -> None:
    assert missing(workers.__all__, page("worker-api.md")) == []


def routes() -> dict[str, set[str]]:
    """The methods of each route of the REST API, by its path below an account, but for what is not emulated."""
    found: dict[str, set[str]] = {}
    for part in (rest for kind in KINDS if (rest := kind.rest()) is not None):
        for route in part.routes:
            if "subscriptions" not in route.path:
                found.setdefault(re.sub(r"^/accounts/\{\w+\}|:path(?=\})", "", route.path), set()).add(route.method)
    return found


def test_every_route_is_on_the_page_with_its_methods() -> None:
    text = page("rest-api.md")
    told = {
        path: set(re.findall(r"\b(?:GET|POST|PUT|PATCH|DELETE)\b", methods))
        for path, methods in re.findall(
            r"^\| `(/(?:queues|storage|r2|d1|secrets_store|analytics_engine|emulator/email)[^`]*)` \| (.*) \|$",
            text,
            re.MULTILINE,
        )
    }
    there = routes()
    own = {path: there.pop(path) for path in list(there) if path.startswith("/emulator/queues")}
    assert told == there
    assert own
    assert [path for path, (method,) in own.items() if f"{method} {addresses.API_PREFIX}{path}" not in text] == []


def test_every_address_of_the_emulator_is_on_the_page() -> None:
    own = [value for name, value in vars(addresses).items() if name.isupper() and isinstance(value, str)]
    assert len(own) >= 5
    assert [address for address in (*own, SCHEDULED_PATH) if f"`{address}" not in page("rest-api.md")] == []


def test_every_key_of_the_configuration_is_on_its_page() -> None:
    code = in_code(page("configuration.md"))
    sections = (
        reading.TOP_LEVEL_KEYS,
        reading.TRIGGERS_KEYS,
        reading.LIMITS_KEYS,
        reading.BUILD_KEYS,
        reading.DEV_KEYS,
        PRODUCER_KEYS,
        CONSUMER_KEYS,
        QUEUES_KEYS,
        *(kind.keys for kind in KINDS),
    )
    assert [missing(keys, code) for keys in sections] == [[] for _ in sections]
