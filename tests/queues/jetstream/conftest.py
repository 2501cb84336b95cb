"""One NATS server for the tests that do not harm it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.nats_server import NatsServer, nats_server


@pytest.fixture(scope="module")
def nats() -> Iterator[NatsServer]:
    """A server with JetStream."""
    with nats_server() as server:
        yield server
