"""Servers that are away, come back, or cannot be used."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE

import nats as nats_py
import nkeys
import pytest
import trustme
from nats.aio.client import Client

from emulator.base.errors import EmulatorError
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.jetstream.address import Address, read_address
from tests.queues.jetstream.sharing import AT_ONCE, Sharer, sharing
from tests.support.nats_server import NatsServer, free_port, nats_cluster, nats_server, until


async def test_a_server_that_is_away_at_the_start_is_waited_for() -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = NatsServer(Path(directory), "-js")
        sharer = Sharer(server.address())
        beginning = asyncio.create_task(sharer.begin(AT_ONCE))
        await until(lambda: sharer.told)
        assert "does not answer; it is tried again until it does" in sharer.told[0]
        try:
            server.start()
            await beginning
            await sharer.send("one")
            await until(lambda: sharer.delivered == ["one"])
            await sharer.close()
        finally:
            server.kill()


async def test_a_server_that_is_killed_under_load_loses_nothing_that_was_accepted() -> None:
    with nats_server() as server:
        async with sharing(server.address(), [None, AT_ONCE, AT_ONCE]) as (producer, one, other):
            accepted: list[str] = []
            for round_number in range(3):
                for number in range(40):
                    body = f"{round_number}-{number}"
                    if await accepts(producer, body):
                        accepted.append(body)
                    if number == 20:
                        server.kill()
                with pytest.raises(QueueError) as caught:
                    await producer.send("refused")
                assert caught.value.code is QueueErrorCode.UNKNOWN_INTERNAL_ERROR
                server.start()
                await until(lambda: producer.engine.connection.is_up)
            assert len(accepted) >= 60
            await until(lambda: set(accepted) <= {*one.delivered, *other.delivered})
            async with asyncio.timeout(20):
                while await producer.count():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert any("is away" in text for text in producer.told)
        assert any("is back" in text for text in producer.told)


async def test_a_handler_that_runs_while_the_server_is_away_is_settled_when_it_is_back() -> None:
    with nats_server() as server:
        async with sharing(server.address(), [AT_ONCE]) as (sharer,):
            sharer.gate = asyncio.Event()
            await sharer.send("one")
            await until(lambda: sharer.running == 1)
            server.kill()
            await until(lambda: not sharer.engine.connection.is_up)
            sharer.gate.set()
            await until(lambda: sharer.running == 0)
            server.start()
            await until(lambda: sharer.engine.connection.is_up)
            async with asyncio.timeout(20):
                while await count_of(sharer):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_a_delayed_message_survives_the_server() -> None:
    with nats_server() as server:
        async with sharing(server.address(), [AT_ONCE]) as (sharer,):
            await sharer.send("later", delay=20)
            server.kill()
            server.start()
            await until(lambda: sharer.delivered == ["later"])


async def test_a_frozen_server_does_not_answer_and_goes_on_when_it_is_thawed() -> None:
    with nats_server() as server:
        async with sharing(server.address(), [AT_ONCE]) as (sharer,):
            await sharer.send("before")
            await until(lambda: sharer.delivered == ["before"])
            server.freeze()
            with pytest.raises(QueueError) as caught:
                await sharer.send("unknown")
            assert caught.value.code is QueueErrorCode.UNKNOWN_INTERNAL_ERROR
            server.thaw()
            await until(lambda: sharer.engine.connection.is_up)
            await sharer.send("after")
            await until(lambda: "after" in sharer.delivered)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace, which makes the disk slow, is not installed")
async def test_a_server_on_a_slow_disk_is_slow_and_loses_nothing(tmp_path: Path) -> None:
    config = tmp_path / "always"
    config.write_text("jetstream { sync_interval: always }")
    slow = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:delay_enter=50000")
    with nats_server("-c", str(config), under=slow) as server:
        async with sharing(server.address(), [AT_ONCE]) as (sharer,):
            bodies = [str(number) for number in range(20)]
            began = time.monotonic()
            await asyncio.gather(*(sharer.send(body) for body in bodies))
            assert time.monotonic() - began > 0.05  # what was accepted is on the disk
            await until(lambda: set(sharer.delivered) == set(bodies), 60)
            again = len(sharer.got) - len(bodies)
            assert sum(attempts > 1 for _, attempts in sharer.got) == again  # each is counted


async def test_a_consumer_process_that_is_killed_is_replaced(nats: NatsServer) -> None:
    address = nats.address()
    async with sharing(address, [None]) as (producer,):
        url = f"{nats.url}?prefix={address.prefix}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.queues.jetstream.consumer_process",
            url,
            stdout=PIPE,
            cwd=Path(__file__).parents[3],
        )
        assert process.stdout is not None
        try:
            assert (await process.stdout.readline()).strip() == b"ready"
            await producer.send("one", "two")
            assert json.loads(await process.stdout.readline()) == [["one", 1], ["two", 1]]
        finally:
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        heir = Sharer(address)
        await heir.begin(AT_ONCE)
        await until(lambda: len(heir.got) == 2)
        assert sorted(heir.got) == [("one", 2), ("two", 2)]
        await heir.close()


async def test_a_server_without_jetstream_cannot_be_used() -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = NatsServer(Path(directory))
        server.start()
        try:
            assert "has no JetStream" in await refusal(server.address())
        finally:
            server.kill()


async def test_wrong_credentials_are_an_error() -> None:
    with nats_server("--user", "ann", "--pass", "secret") as server:
        assert "does not let us in" in await refusal(server.address())
        assert "does not let us in" in await refusal(read_address(f"nats://ann:wrong@127.0.0.1:{server.port}"))
        await send_one(read_address(f"nats://ann:secret@127.0.0.1:{server.port}"))


async def test_a_token_or_an_nkey_lets_a_session_in(tmp_path: Path) -> None:
    with nats_server("--auth", "t0ken") as server:
        assert "does not let us in" in await refusal(server.address())
        await send_one(read_address(f"nats://t0ken@127.0.0.1:{server.port}"))
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    config, file = tmp_path / "server.conf", tmp_path / "seed.nk"
    config.write_text(f"authorization {{ users = [ {{ nkey: {nkeys.from_seed(seed).public_key.decode()} }} ] }}")
    file.write_bytes(seed)
    with nats_server("-c", str(config)) as server:
        await send_one(server.address(f"&nkey={file}"))
        assert "cannot be used" in await refusal(server.address(f"&nkey={tmp_path}/none.nk"))


async def test_a_server_with_tls_is_reached_if_its_certificate_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    key, trusted = tmp_path / "server.pem", tmp_path / "trusted.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(trusted))
    with nats_server("--tls", "--tlscert", str(key), "--tlskey", str(key)) as server:
        assert "has a certificate that is not trusted" in await refusal(read_address(f"tls://127.0.0.1:{server.port}"))
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        await send_one(read_address(f"tls://127.0.0.1:{server.port}"))


async def send_one(address: Address) -> None:
    """Start a session that sends a message, and end it."""
    sharer = Sharer(address)
    await sharer.begin()
    await sharer.send("one")
    assert await sharer.bodies() == ["one"]
    await sharer.close()


async def test_an_older_server_is_an_error_that_says_which_one_is_needed() -> None:
    async with old_server() as port:
        text = await refusal(read_address(f"nats://127.0.0.1:{port}"))
    assert "is version 2.10.3" in text
    assert "2.12 or newer" in text


async def test_a_stream_that_somebody_else_made_is_left_alone(nats: NatsServer) -> None:
    address = nats.address()
    client = await nats_py.connect(nats.url)
    await client.jetstream().add_stream(name=f"{address.prefix}-q-orders", subjects=["theirs"])
    assert "that the emulator did not make" in await refusal(address)
    assert (await client.jetstream().stream_info(f"{address.prefix}-q-orders")).config.subjects == ["theirs"]
    await client.close()


async def test_what_another_program_has_published_is_delivered_as_bytes(nats: NatsServer) -> None:
    address = nats.address()
    async with sharing(address, [AT_ONCE]) as (sharer,):
        client = await nats_py.connect(nats.url)
        await client.jetstream().publish(f"{address.prefix}.q.orders.m", b"hello", headers={"Theirs": "yes"})
        await client.close()
        await until(lambda: sharer.got == [("hello", 1)])


async def test_a_message_that_another_program_published_can_be_retried_and_seen(nats: NatsServer) -> None:
    address = nats.address()
    async with sharing(address, [None]) as (sharer,):
        client = await nats_py.connect(nats.url)
        await client.jetstream().publish(f"{address.prefix}.q.orders.m", b"hello")
        await client.close()
        (message,) = await sharer.queues.waiting("orders")
        assert (message.body, message.content_type, message.source) == (b"hello", "bytes", "another program")
        assert len(message.id) == 32


async def test_a_server_without_room_refuses_what_is_sent_and_keeps_what_there_is() -> None:
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "server.conf"
        config.write_text("jetstream { max_file_store: 2MB }")
        with nats_server("-c", str(config)) as server:
            async with sharing(server.address(), [None]) as (sharer,):
                sent = 0
                with pytest.raises(QueueError) as caught:  # noqa: PT012 - which of them is refused does not matter
                    for _ in range(100):
                        await sharer.send("x" * 100_000)
                        sent += 1
                assert caught.value.code is QueueErrorCode.QUEUE_STORAGE_LIMIT_EXCEEDED
                assert await sharer.count() == sent > 5


async def test_more_replicas_than_servers_is_an_error(nats: NatsServer) -> None:
    assert "replicas > 1 not supported" in await refusal(nats.address("&replicas=3"))


async def test_a_message_with_headers_that_make_no_sense_is_delivered_all_the_same(nats: NatsServer) -> None:
    address = nats.address()
    async with sharing(address, [AT_ONCE]) as (sharer,):
        client = await nats_py.connect(nats.url)
        for meta in ("", "junk", "a b c d e f g h", f"{'0' * 32} 1 2 3 j 0 x t"):
            headers = {"Emulator-Message": meta, "Emulator-More": "{"}
            await client.jetstream().publish(f"{address.prefix}.q.orders.m", b"hello", headers=headers)
        await client.close()
        await until(lambda: sharer.delivered == ["hello"] * 4)


async def test_a_cluster_that_loses_a_server_loses_no_message() -> None:
    with nats_cluster() as servers:
        urls = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        address = read_address(f"nats://{urls}?prefix=cluster&replicas=3")
        client = await nats_py.connect(f"nats://{urls}".split(","))
        await has_leader(client)
        async with sharing(address, [None, AT_ONCE]) as (producer, consumer):
            stream = producer.engine._queues["orders"].names.stream
            accepted = []
            for number in range(60):
                if await accepts(producer, str(number)):
                    accepted.append(str(number))
                if number == 20:
                    info = await client.jetstream().stream_info(stream)
                    assert info.cluster is not None
                    assert info.cluster.leader is not None
                    servers[int(info.cluster.leader.removeprefix("server"))].kill()
            await until(lambda: producer.engine.connection.is_up and consumer.engine.connection.is_up)
            async with asyncio.timeout(60):
                while not await accepts(producer, "last"):  # noqa: ASYNC110 - until there is another leader
                    await asyncio.sleep(0.1)
            await until(lambda: {*accepted, "last"} <= {*consumer.delivered}, 60)
            assert len(accepted) >= 21
        await client.close()


async def has_leader(client: Client) -> None:
    """Wait until a cluster can make streams."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Exception):
                await client.jetstream(timeout=2).add_stream(name="ready", subjects=["ready"], num_replicas=3)
                return
            await asyncio.sleep(0.1)


async def accepts(sharer: Sharer, body: str) -> bool:
    try:
        await sharer.send(body)
    except QueueError:
        return False
    return True


async def count_of(sharer: Sharer) -> int:
    """How many messages there are; 1 if the server does not say."""
    try:
        return await sharer.count()
    except QueueError:
        return 1


async def refusal(address: Address) -> str:
    """The error of a session that starts there, in one line."""
    sharer = Sharer(address)
    with pytest.raises(EmulatorError) as caught:
        await sharer.begin()
    await sharer.engine.end()
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


@asynccontextmanager
async def old_server() -> AsyncIterator[int]:
    """Something that says what an old server says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "OLD", "version": "2.10.3", "proto": 1, "headers": True, "max_payload": 2**20}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        async for line in reader:
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    port = free_port()
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        yield port
