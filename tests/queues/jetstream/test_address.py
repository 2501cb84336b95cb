"""Addresses of queue engines."""

from __future__ import annotations

import pytest

from emulator.base.errors import EmulatorError
from emulator.queues.jetstream.address import Address, read_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("nats://localhost", Address(("nats://localhost:4222",))),
        ("tls://a:1,b:2", Address(("tls://a:1", "tls://b:2"))),
        ("nats://[::1]:5000/", Address(("nats://[::1]:5000",))),
        ("nats://ann:se%40cret@host", Address(("nats://host:4222",), user="ann", password="se@cret")),
        ("nats://t0ken@host", Address(("nats://host:4222",), token="t0ken")),
        ("nats://host?prefix=team&replicas=3", Address(("nats://host:4222",), prefix="team", replicas=3)),
        ("nats://host?creds=/a/b.creds", Address(("nats://host:4222",), creds="/a/b.creds")),
        ("nats://host?nkey=seed.nk", Address(("nats://host:4222",), nkey="seed.nk")),
    ],
)
def test_an_address_says_where_and_how(text: str, address: Address) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("localhost:4222", "must begin with nats:// or tls://"),
        ("redis://localhost", "must begin with nats:// or tls://"),
        ("nats://", "must name a host"),
        ("nats://host:port", "a port must be a number"),
        ("nats://host:99999", "a port must be a number"),
        ("nats://host/path", "must name a host"),
        ("nats://host?prefix=a.b", "prefix is 'a.b'"),
        ("nats://host?prefix=", "prefix is ''"),
        ("nats://host?replicas=2", "replicas is '2'"),
        ("nats://host?prefx=a", "it has no option prefx"),
    ],
)
def test_a_wrong_address_is_an_error_that_says_why(text: str, why: str) -> None:
    with pytest.raises(EmulatorError) as caught:
        read_address(text)
    assert why in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_no_secret_is_shown() -> None:
    with pytest.raises(EmulatorError) as caught:
        read_address("nats://ann:secret@host?prefix=a.b")
    assert "secret" not in str(caught.value)
    assert "secret" not in str(read_address("nats://ann:secret@host"))
