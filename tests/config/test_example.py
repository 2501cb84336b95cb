"""`wrangler.jsonc.example` loads, and shows every setting that there is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from emulator.bindings.not_emulated.kind import NOT_EMULATED
from emulator.bindings.queue.config import (
    CONSUMER_KEYS,
    PRODUCER_KEYS,
    QUEUES_KEYS,
    Producer,
    consumers_of,
    producers_of,
)
from emulator.bindings.registry import KINDS
from emulator.bindings.vars.kind import VARS
from emulator.config import WorkerConfig, jsonc, reading
from emulator.config.model import Bundling
from emulator.queues.settings import ConsumerSettings
from tests.support.configs import load_config

EXAMPLE = Path(__file__).parents[2] / "wrangler.jsonc.example"


def load_example(directory: Path, environment: str | None = None) -> WorkerConfig:
    path = directory / "wrangler.jsonc"
    shutil.copy(EXAMPLE, path)
    main = directory / "templates/python-queue/src/entry.py"
    main.parent.mkdir(parents=True)
    main.touch()
    return load_config(path, environment=environment)


def test_the_example_loads_with_a_warning_of_its_pull_consumer_alone(tmp_path: Path) -> None:
    config = load_example(tmp_path)
    assert [warning.key for warning in config.warnings] == ["queues.consumers[1].type"]
    assert config.name == "example"
    assert VARS.bindings(config) == {"GREETING": "hello", "LIMITS": {"free": 3, "paid": None}}
    assert [consumer.settings.type for consumer in consumers_of(config)] == ["worker", "http_pull"]


def test_the_environment_of_the_example_loads_with_the_same_warning(tmp_path: Path) -> None:
    config = load_example(tmp_path, "staging")
    assert [warning.key for warning in config.warnings] == ["queues.consumers[1].type"]
    assert config.name == "example-staging"
    assert producers_of(config) == [Producer("SIGNUPS", "signups-staging")]


def test_the_example_shows_every_key_that_is_read() -> None:
    data: Any = jsonc.parse(EXAMPLE.read_text()).data
    queues = data["queues"]
    shown_keys = {name: key.check for kind in KINDS if kind is not NOT_EMULATED for name, key in kind.keys.items()}
    shown: list[tuple[Any, Mapping[str, object]]] = [
        (data | {"route": "which wrangler refuses beside routes"}, {**reading.TOP_LEVEL_KEYS, **shown_keys}),
        (queues, QUEUES_KEYS),
        (queues["producers"][0], PRODUCER_KEYS),
        (queues["consumers"][0] | queues["consumers"][1], CONSUMER_KEYS),
        (data["triggers"], reading.TRIGGERS_KEYS),
        (data["limits"], reading.LIMITS_KEYS),
        (data["build"], reading.BUILD_KEYS),
        (data["dev"], reading.DEV_KEYS),
    ]
    for section, keys in shown:
        assert section.keys() == keys.keys()


def test_every_setting_of_the_model_can_be_written_in_a_file() -> None:
    settings = {field.name for field in structs.fields(ConsumerSettings)}
    assert settings | {"queue", "remote"} == CONSUMER_KEYS.keys()
    assert set(Producer._fields) == PRODUCER_KEYS.keys()


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    config = load_example(tmp_path)
    push, pull = (consumer.settings for consumer in consumers_of(config))
    assert push == ConsumerSettings(dead_letter_queue="signups-dead", max_concurrency=10)
    assert pull == ConsumerSettings(type="http_pull")
    assert config.cpu_ms == 30_000
    assert (
        structs.replace(config.bundling, rules=(), tsconfig="", base_dir="", find_additional_modules=None) == Bundling()
    )
    assert config.build is None
