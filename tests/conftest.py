"""What all tests share: async tests run on asyncio, which is what the emulator runs on."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
