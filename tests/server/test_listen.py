from __future__ import annotations

import errno
import re
import socket

import pytest

from emulator.base.errors import ServerError
from emulator.server.listen import listen, network_address


def test_port_0_takes_a_free_one() -> None:
    [listener] = listen("127.0.0.1", 0)
    with listener:
        assert listener.getsockname()[1] > 0


def test_a_port_in_use_names_the_port_and_one_that_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {port} is in use on 127.0.0.1") as raised:
            listen("127.0.0.1", port)
        free = re.search(r"port (\d+) is free", str(raised.value))
        assert free is not None
        assert int(free[1]) != port


def test_the_next_free_port_is_taken_where_none_was_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [listener] = listen("127.0.0.1", port, or_next=True)
        with listener:
            assert port < listener.getsockname()[1] < port + 50


@pytest.mark.parametrize(("level", "option"), [("1", "PORT="), ("", "-p ")])
def test_the_advice_is_for_whoever_started_it(monkeypatch: pytest.MonkeyPatch, level: str, option: str) -> None:
    monkeypatch.setenv("MAKELEVEL", level)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServerError) as raised:
        listen("127.0.0.1", taken.getsockname()[1])
    assert re.search(rf"is free: use {option}\d+, or {option}0 for any$", str(raised.value))


@pytest.mark.parametrize("host", ["no such host", "256.1.1.1", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_said_so(host: str) -> None:
    with pytest.raises(ServerError, match="is not a"):
        listen(host, 0)


def test_the_address_for_other_machines_is_one_of_this_machine() -> None:
    address = network_address("0.0.0.0")
    if address:  # there is a network
        with socket.socket() as bound:
            bound.bind((address, 0))
    assert network_address("127.0.0.1") == network_address("localhost") == network_address("::1") == ""


def test_without_a_network_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    assert network_address("0.0.0.0") == network_address("::") == ""
