from __future__ import annotations

import pytest

from emulator.server.hostname import is_local, is_within_this_machine, may_mean, split_host


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("localhost:8787", "localhost"),
        ("[::1]:8787", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_the_port_and_brackets_are_taken_off(header: str, name: str) -> None:
    assert split_host(header) == name


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST", "localhost.", "shop.localhost", "127.0.0.1", "127.8.9.1", "::1"]
)
def test_names_that_can_only_mean_this_machine_are_local(name: str) -> None:
    assert is_local(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "example.com",
        "localhost.example.com",
        "notlocalhost",
        "10.0.0.1",
        "0.0.0.0",
        "127.0.0.1.nip.io",
        "2130706433",
    ],
)
def test_names_that_may_mean_another_machine_are_not(name: str) -> None:
    assert not is_local(name)


@pytest.mark.parametrize(
    ("name", "bound", "may"),
    [
        ("localhost", "127.0.0.1", True),
        ("192.168.1.5", "127.0.0.1", False),
        ("192.168.1.5", "192.168.1.5", True),
        ("my-pc", "MY-PC", True),
        ("192.168.1.5", "0.0.0.0", True),
        ("fe80::1", "::", True),
        ("evil.example", "0.0.0.0", False),
        ("", "0.0.0.0", False),
    ],
)
def test_where_every_address_is_listened_on_any_address_will_do_but_no_foreign_name(
    name: str, bound: str, may: bool
) -> None:
    assert may_mean(name, bound) is may


@pytest.mark.parametrize(
    ("client", "host", "within"),
    [
        (("127.0.0.1", 50_000), "localhost:8787", True),
        (("127.0.0.2", 50_000), "shop.localhost:8787", True),
        (("::1", 50_000), "[::1]:8787", True),
        (("192.168.1.7", 50_000), "localhost:8787", False),
        (("192.168.1.7", 50_000), "192.168.1.5:8787", False),
        (("fe80::1", 50_000), "localhost", False),
        (("127.0.0.1", 50_000), "my-app.trycloudflare.com", False),
        (("127.0.0.1", 50_000), "", False),
        (None, "localhost:8787", False),
    ],
)
def test_a_request_is_within_this_machine_by_its_client_and_its_host(
    client: tuple[str, int] | None, host: str, within: bool
) -> None:
    assert is_within_this_machine({"client": client, "headers": [(b"host", host.encode())]}) is within
