"""What all tests share: async tests run on asyncio, which is what the emulator runs on."""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings

settings.register_profile("busy", deadline=None)  # a machine that does something else, too, is slow now and then
settings.load_profile("busy")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
