"""`env`: vars, secrets, queues, and what is not there."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest

from emulator.base.bus import Bus, Notice
from emulator.base.clock import VirtualClock
from emulator.base.coroutines import run_now
from emulator.bindings.env import Env
from emulator.bindings.kind import Resources
from emulator.bindings.open_kinds import OpenKinds
from emulator.bindings.queue.config import Producer
from emulator.bindings.queue.python import QueueBinding
from emulator.bindings.registry import KINDS
from emulator.queues.errors import QueueError
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.service import Queues
from emulator.storage.state import State
from emulator_runtime.errors import NotEmulatedError
from tests.support.configs import make_config

ORDERS = (Producer("ORDERS", "orders"),)


def make(warnings: list[str] | None = None, **settings: Any) -> tuple[Any, Queues]:
    """An env, and the queues behind it, of which there is the queue `orders`."""
    bus, clock = Bus(), VirtualClock()
    queues = Queues(MemoryEngine(clock), bus, clock)
    run_now(queues.start())
    run_now(queues.create_queue("orders"))
    if warnings is not None:
        bus.subscribe(Notice, lambda notice: warnings.append(f"{notice.worker}: {notice.text}"))
    config = make_config("shop", Path("/project/wrangler.jsonc"), Path("/project/src/entry.py"), **settings)
    return OpenKinds(KINDS, Resources(queues, bus, clock, State())).env(config), queues


def test_vars_keep_their_types() -> None:
    values = {"NAME": "shop", "LIMIT": 5, "RATE": 0.5, "DEBUG": True, "NOTHING": None, "TAGS": ["a", "b"]}
    env, _ = make(vars=values)
    assert {name: getattr(env, name) for name in values} == values
    assert env.DEBUG is True


def test_the_keys_of_a_var_are_attributes() -> None:
    env, _ = make(vars={"SMTP": {"host": "localhost", "ports": [{"tls": 465}]}})
    assert (env.SMTP.host, env.SMTP["host"], env.SMTP.ports[0].tls) == ("localhost", "localhost", 465)


def test_a_changed_var_does_not_change_the_configuration() -> None:
    settings = {"SMTP": {"host": "localhost"}}
    env, _ = make(vars=settings)
    env.SMTP.host = "elsewhere"
    assert settings == {"SMTP": {"host": "localhost"}}


def test_a_secret_wins_over_a_var_of_its_name() -> None:
    env, _ = make(vars={"TOKEN": "public"}, secrets={"TOKEN": "secret"})
    assert env.TOKEN == "secret"


def test_a_queue_wins_over_a_var_and_a_secret_of_its_name() -> None:
    env, _ = make(vars={"ORDERS": 1}, secrets={"ORDERS": "x"}, producers=ORDERS)
    assert isinstance(env.ORDERS, QueueBinding)


def test_a_producer_sends_to_its_queue() -> None:
    env, queues = make(producers=(Producer("ORDERS", "orders"),))
    asyncio.run(env.ORDERS.send({"id": 1}))
    (sent,) = run_now(queues.waiting("orders"))
    assert (sent.body, sent.source, sent.ready_at - sent.timestamp) == (b'{"id":1}', "shop", 0)


def test_an_unknown_option_of_a_send_is_a_warning_of_the_worker() -> None:
    warnings: list[str] = []
    env, _ = make(warnings, producers=ORDERS)
    asyncio.run(env.ORDERS.send(1, delay=5))
    assert [warning.partition(" ignores")[0] for warning in warnings] == ["shop: send()"]


@pytest.mark.parametrize(
    ("date", "flags", "content_type"),
    [
        ("2024-03-17", (), "v8"),
        ("2024-03-18", (), "json"),
        ("", (), "json"),
        ("2023-01-01", ("queues_json_messages",), "json"),
        ("2026-01-01", ("no_queues_json_messages",), "v8"),
    ],
)
def test_messages_are_json_from_2024_03_18(date: str, flags: tuple[str, ...], content_type: str) -> None:
    env, queues = make(producers=ORDERS, compatibility_date=date, compatibility_flags=frozenset(flags))
    asyncio.run(env.ORDERS.send({"id": 1}))
    assert [each.content_type for each in run_now(queues.waiting("orders"))] == [content_type]


@pytest.mark.parametrize(
    ("date", "flags", "shown"),
    [
        ("2026-03-11", (), False),
        ("2026-03-12", (), True),
        ("", (), True),
        ("2024-01-01", ("queue_expose_error_codes",), True),
        ("2026-06-01", ("no_queue_expose_error_codes",), False),
    ],
)
def test_error_codes_are_shown_from_2026_03_12(date: str, flags: tuple[str, ...], shown: bool) -> None:
    env, _ = make(producers=ORDERS, compatibility_date=date, compatibility_flags=frozenset(flags))
    with pytest.raises(QueueError) as caught:
        asyncio.run(env.ORDERS.send(1, delaySeconds=-1))
    assert ("(10203)" in str(caught.value)) == shown


def test_a_binding_that_is_not_declared_names_those_that_are_and_the_key_that_would_declare_it() -> None:
    env, _ = make(vars={"NAME": "shop"}, secrets={"TOKEN": "x"}, producers=ORDERS)
    with pytest.raises(AttributeError) as caught:
        _ = env.ORDER
    text = str(caught.value)
    assert text.startswith("env.ORDER is not declared in wrangler.jsonc, which declares: NAME, ORDERS, TOKEN.")
    for key in ('"vars"', ".dev.vars", '"queues.producers"'):
        assert key in text


def test_an_env_with_no_bindings_says_so() -> None:
    env, _ = make()
    with pytest.raises(AttributeError, match="which declares: none"):
        _ = env.ORDERS
    assert not hasattr(env, "ORDERS")
    assert getattr(env, "ORDERS", None) is None


def test_an_env_shows_its_names_and_no_secret() -> None:
    env, _ = make(vars={"NAME": "shop"}, secrets={"TOKEN": "hush"})
    assert repr(env) == "<env NAME, TOKEN>"


def test_an_env_can_be_copied() -> None:
    env, _ = make(vars={"NAME": "shop"})
    assert copy.copy(env).NAME == "shop"
    assert Env({}, "wrangler.toml").__dict__ is not env.__dict__


@pytest.mark.parametrize("use", [lambda cache: cache.get("key"), lambda cache: cache()], ids=["attribute", "call"])
def test_a_binding_that_is_not_emulated_yet_says_so_when_it_is_used(use: Any) -> None:
    env, _ = make(not_emulated={"CACHE": "kv_namespaces"})
    cache = env.CACHE
    with pytest.raises(NotEmulatedError) as caught:
        use(cache)
    text = str(caught.value)
    assert text.startswith("env.CACHE (kv_namespaces in ")
    assert text.count("is not emulated yet") == 1
    assert "not emulated yet" in repr(cache)


def test_a_binding_that_is_not_emulated_yet_is_declared() -> None:
    env, _ = make(not_emulated={"CACHE": "kv_namespaces"})
    with pytest.raises(AttributeError, match="which declares: CACHE"):
        _ = env.CASH
