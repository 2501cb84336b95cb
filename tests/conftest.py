"""What all tests share: async tests run on asyncio, which is what the emulator runs on."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("busy", deadline=None)  # a machine that does something else, too, is slow now and then
settings.load_profile("busy")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
