"""What configurations and clients make of queues: pure functions of the states that there are."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from emulator.queues import declarations
from emulator.queues.declarations import Declared, Origin, QueueState, States
from emulator.queues.settings import ConsumerSettings, QueueSettings

T = 1_800_000_000.0
LATER = T + 60
PLAIN, LARGE = ConsumerSettings(), ConsumerSettings(max_batch_size=50)
PULL = ConsumerSettings("http_pull")
DYING = ConsumerSettings(dead_letter_queue="dead")


def with_(states: States, put: Iterable[QueueState]) -> dict[str, QueueState]:
    """The states when those in `put` are put."""
    return {**states, **{state.name: state for state in put}}


def begun(*configurations: Declared, states: States | None = None, now: float = T) -> dict[str, QueueState]:
    states = states or {}
    return with_(states, declarations.begin(states, configurations, now).put)


def names(states: States) -> list[str]:
    return list(states)


def test_a_configuration_makes_the_queues_that_it_names() -> None:
    states = begun(Declared("shop", ("orders",), {"mails": DYING}))
    assert names(states) == ["orders", "mails", "dead"]
    assert states["orders"] == QueueState("orders", T, T)
    mails = states["mails"]
    assert (mails.consumer, mails.worker, mails.consumer_set_at) == (DYING, "shop", T)
    assert mails.origin == Origin(declared=DYING, declared_by="shop")
    assert states["dead"].consumer is None


def test_several_workers_share_queues() -> None:
    states = begun(Declared("shop", ("orders",)), Declared("mailer", (), {"orders": PLAIN}))
    assert names(states) == ["orders"]
    assert states["orders"].worker == "mailer"


def test_nothing_is_put_when_nothing_is_new() -> None:
    configuration = Declared("shop", ("orders",), {"mails": PLAIN})
    states = begun(configuration)
    assert declarations.begin(states, [configuration], LATER).put == []
    assert declarations.change(states, configuration, configuration, LATER) == []


def test_a_recovered_consumer_stays_as_a_client_has_set_it_while_the_configuration_is_the_same() -> None:
    configuration = Declared("shop", (), {"orders": PLAIN})
    states = begun(configuration)
    states = with_(states, declarations.set_consumer(states, "orders", LARGE, "shop", T + 1))
    assert begun(configuration, states=states, now=LATER) == states


def test_a_recovered_consumer_gives_way_to_a_configuration_that_has_changed_since() -> None:
    states = begun(Declared("shop", (), {"orders": PLAIN}))
    states = with_(states, declarations.set_consumer(states, "orders", PULL, "", T + 1))
    states = begun(Declared("shop", (), {"orders": LARGE}), states=states, now=LATER)
    orders = states["orders"]
    assert (orders.consumer, orders.worker, orders.origin.declared) == (LARGE, "shop", LARGE)


def test_a_recovered_consumer_of_another_worker_gives_way() -> None:
    states = begun(Declared("shop", (), {"orders": PLAIN}))
    states = begun(Declared("mailer", (), {"orders": PLAIN}), states=states, now=LATER)
    assert (states["orders"].worker, states["orders"].origin.declared_by) == ("mailer", "mailer")


def test_a_recovered_consumer_goes_with_the_configuration_that_asked_for_it() -> None:
    states = begun(Declared("shop", (), {"orders": PLAIN}))
    beginning = declarations.begin(states, [Declared("shop", ("orders",))], LATER)
    states = with_(states, beginning.put)
    assert (states["orders"].consumer, states["orders"].worker) == (None, "")
    assert states["orders"].origin.declared is None
    assert beginning.lost == {}


def test_a_consumer_that_a_client_set_outlives_the_configuration() -> None:
    states = begun(Declared("shop", ("orders",)))
    states = with_(states, declarations.set_consumer(states, "orders", PULL, "", T + 1))
    states = begun(Declared("shop", ("orders",)), states=states, now=LATER)
    assert states["orders"].consumer == PULL


def test_a_queue_whose_worker_is_not_there_any_more_loses_its_consumer() -> None:
    states = begun(Declared("shop", ("orders",)), Declared("mailer"))
    states = with_(states, declarations.set_consumer(states, "orders", PLAIN, "mailer", T + 1))
    beginning = declarations.begin(states, [Declared("shop", ("orders",))], LATER)
    assert beginning.lost == {"orders": "mailer"}
    (orders,) = beginning.put
    assert (orders.consumer, orders.consumer_set_at, orders.origin.consumer_set) == (None, None, False)


def test_a_changed_configuration_changes_only_what_differs_from_it() -> None:
    old = Declared("shop", ("orders",), {"mails": PLAIN, "events": PLAIN})
    states = begun(old)
    states = with_(states, declarations.set_consumer(states, "events", LARGE, "shop", T + 1))
    new = replace(old, produces=("orders", "more"), consumes={"mails": LARGE, "events": PLAIN})
    put = declarations.change(states, old, new, LATER)
    assert [state.name for state in put] == ["more", "mails"]
    assert with_(states, put)["events"].consumer == LARGE


def test_a_consumer_that_is_not_declared_any_more_is_taken_away() -> None:
    old = Declared("shop", (), {"mails": PLAIN})
    (mails,) = declarations.change(begun(old), old, Declared("shop"), LATER)
    assert (mails.consumer, mails.modified_at, mails.origin) == (None, LATER, Origin())


def test_a_consumer_that_a_client_set_stays_when_the_declared_one_goes() -> None:
    old = Declared("shop", (), {"mails": PLAIN})
    states = begun(old)
    states = with_(states, declarations.remove_consumer(states["mails"], T + 1))
    states = with_(states, declarations.set_consumer(states, "mails", PULL, "", T + 2))
    (mails,) = declarations.change(states, old, Declared("shop"), LATER)
    assert (mails.consumer, mails.origin.declared) == (PULL, None)


def test_a_consumer_of_a_queue_that_a_client_has_deleted_is_forgotten_in_peace() -> None:
    old = Declared("shop", (), {"mails": PLAIN})
    assert declarations.change({}, old, Declared("shop"), LATER) == []


def test_queues_that_nothing_names_are_unnamed() -> None:
    declared = Declared("shop", ("orders",), {"mails": DYING})
    states = begun(declared)
    assert declarations.unnamed(states, [declared]) == []
    assert declarations.unnamed(states, [Declared("shop")]) == ["orders", "mails"]
    states = with_(states, declarations.remove_consumer(states["mails"], LATER))
    assert declarations.unnamed(states, [Declared("shop", ("mails",))]) == ["orders", "dead"]


def test_a_queue_that_a_client_changed_stays_whoever_names_it() -> None:
    states = begun(Declared("shop", ("orders",)))
    states = with_(states, declarations.update(states["orders"], QueueSettings(5), LATER))
    assert declarations.unnamed(states, []) == []


def test_a_client_makes_a_queue_once_also_one_that_a_configuration_names() -> None:
    states = begun(Declared("shop", ("orders",)))
    (orders,) = declarations.create(states, "orders", QueueSettings(5), LATER)
    assert (orders.created_at, orders.modified_at, orders.settings) == (T, LATER, QueueSettings(5))
    assert orders.origin == Origin(created=True, changed=True)
    assert declarations.create(with_(states, [orders]), "orders", QueueSettings(9), LATER) == ()


@pytest.mark.parametrize(("there", "is_clients"), [(True, False), (False, True)])
def test_a_consumer_is_the_clients_when_there_was_none_before(there: bool, is_clients: bool) -> None:
    states = begun(Declared("shop", ("orders",), {"orders": PLAIN} if there else {}))
    orders, dead = declarations.set_consumer(states, "orders", DYING, "shop", LATER)
    assert (orders.consumer, orders.origin.changed, orders.origin.consumer_set) == (DYING, True, is_clients)
    assert orders.consumer_set_at == (T if there else LATER)
    assert dead == QueueState("dead", LATER, LATER)


def test_a_client_takes_a_consumer_away() -> None:
    states = begun(Declared("shop", (), {"orders": PLAIN}))
    (orders,) = declarations.remove_consumer(states["orders"], LATER)
    assert (orders.consumer, orders.worker, orders.consumer_set_at, orders.modified_at) == (None, "", None, LATER)
    assert orders.origin == Origin(changed=True, declared=PLAIN, declared_by="shop")
