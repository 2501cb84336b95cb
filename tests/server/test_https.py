"""The certificates of sessions that are served over HTTPS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
import sys
from pathlib import Path
from typing import cast

import pytest

from emulator.base.errors import ServerError
from emulator.server.app import App
from emulator.server.asgi import Receive, Scope, Send
from emulator.server.http import HttpServer
from emulator.server.https import Identity, given, self_made
from emulator.server.listen import listen
from emulator.session.running import Running


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where certificates are kept."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data/emulator/https"


def make(*names: str) -> tuple[Identity, list[Path]]:
    """An identity, and what was told of it."""
    told: list[Path] = []
    return self_made(names, told.append), told


def greet(identity: Identity, client: ssl.SSLContext, name: str) -> None:
    """Let a client that calls the server `name` shake hands with it. Raises SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = identity.context.wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    sides = [client_side, server_side]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass


def trusting(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(path))


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_who_trusts_its_authority_may_call_this_machine_what_it_likes(name: str) -> None:
    identity, _ = make()
    greet(identity, trusting(identity.trusted), name)
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(identity, ssl.create_default_context(), name)


def test_it_is_for_the_workers_and_the_address_and_for_nobody_else() -> None:
    identity, _ = make("web.localhost", "192.168.1.5")
    for name in ("localhost", "web.localhost", "192.168.1.5"):
        greet(identity, trusting(identity.trusted), name)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"bank\.example"):
        greet(identity, trusting(identity.trusted), "bank.example")


def test_it_is_kept_and_told_of_once(directory: Path) -> None:
    first, told = make()
    assert told == [first.trusted] == [directory / "localhost.pem"]
    content = first.trusted.read_bytes()
    again, told = make("localhost", "0.0.0.0")
    assert (again.trusted.read_bytes(), told) == (content, [])
    assert make("my_app.localhost", "fe80::1%eth0")[0].trusted == first.trusted, "no certificate is for such hosts"
    other, told = make("web.localhost")
    assert other.trusted != first.trusted
    assert told


def test_only_its_user_can_read_it_and_nothing_can_sign_others(directory: Path) -> None:
    make()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    keys = [path for path in directory.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert [path.name for path in keys] == ["localhost.key.pem"], "the authority's is thrown away"
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    assert keys[0].read_bytes().count(b"PRIVATE KEY-----") == 2


def test_one_that_is_old_or_damaged_is_replaced(directory: Path) -> None:
    made, _ = make()
    content = made.trusted.read_bytes()
    long_ago = made.trusted.stat().st_mtime - 801 * 86_400
    os.utime(directory / "localhost.key.pem", (long_ago, long_ago))
    renewed, told = make()
    assert told
    assert renewed.trusted.read_bytes() != content
    (directory / "localhost.key.pem").write_text("rubbish")
    assert make()[1]
    (directory / "localhost.pem").unlink()
    assert make()[1]


def test_a_directory_of_somebody_else_is_not_used(directory: Path, tmp_path: Path) -> None:
    directory.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ServerError, match="is not a directory that you own"):
        make()


def test_without_trustme_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ServerError, match=r"needs the package trustme.*install it with `.* trustme`, or give"):
        make()


def test_one_that_is_kept_needs_no_trustme(monkeypatch: pytest.MonkeyPatch) -> None:
    make()
    monkeypatch.setitem(sys.modules, "trustme", None)
    assert make()[1] == []


def pem(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key, made elsewhere, for a host that is not this one."""
    import trustme

    leaf = trustme.CA().issue_cert("dev.example")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_the_emulators_own_clients_trust_what_the_registry_says(tmp_path: Path) -> None:
    identity = given(*pem(tmp_path))
    client = Running("https://127.0.0.1:1", 1, 0.0, trusted=str(identity.trusted)).verify()
    assert isinstance(client, ssl.SSLContext)
    greet(identity, client, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(make()[0], client, "127.0.0.1")
    assert Running("http://127.0.0.1:1", 1, 0.0).verify() is True


def test_files_that_do_not_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    certificate, key = (path.relative_to(tmp_path) for path in pem(tmp_path))
    with pytest.raises(ServerError, match=r"--https-key-path: none\.pem cannot be read: no such file"):
        given(certificate, Path("none.pem"))
    with pytest.raises(ServerError, match=r"--https-cert-path: \. cannot be read: is a directory"):
        given(Path(), key)
    with pytest.raises(ServerError, match=r"in cert\.pem and the private key in cert\.pem cannot be used together"):
        given(certificate, certificate)
    other = make()[0].trusted.with_name("localhost.key.pem")
    with pytest.raises(ServerError, match="cannot be used together: KEY_VALUES_MISMATCH"):
        given(certificate, other)


def test_a_key_with_a_password_is_refused_without_a_prompt(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, key = pem(tmp_path)
    locked = serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    key.write_bytes(locked)
    with pytest.raises(ServerError, match="has a password: give one without"):
        given(certificate, key)


async def test_two_sessions_that_start_at_once_share_one() -> None:
    identities = await asyncio.gather(*(asyncio.to_thread(make) for _ in range(4)))
    assert sum(len(told) for _, told in identities) == 1
    for identity, _ in identities:
        greet(identity, trusting(identity.trusted), "localhost")


async def test_an_idle_client_that_does_not_answer_a_goodbye_does_not_hold_up_the_end() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    identity, _ = make()
    sockets = listen("127.0.0.1", 0)
    server = HttpServer(cast("App", app), sockets, identity.context)
    await server.start()
    client = await asyncio.to_thread(call, sockets[0].getsockname(), trusting(identity.trusted))
    with client:
        async with asyncio.timeout(5):
            await server.stop(3600)
        assert client.recv(1) == b""  # a goodbye, and not a connection that is broken off
    sockets[0].close()


def call(address: tuple[str, int], context: ssl.SSLContext) -> ssl.SSLSocket:
    """A client that has had an answer and keeps the connection."""
    client = context.wrap_socket(socket.create_connection(address), server_hostname="localhost")
    client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert client.recv(65_536).startswith(b"HTTP/1.1 200 OK")
    return client
