"""`crypto`: random values, and what is not emulated. What `crypto.subtle` computes is compared with workerd's."""

from __future__ import annotations

from typing import Any

import pytest

from emulator_runtime import js
from emulator_runtime.errors import NotEmulatedError


def test_random_values_and_ids() -> None:
    assert len(js.crypto.randomUUID()) == 36
    for array in (js.Uint8Array.new(16), js.Uint32Array.new(4), bytearray(16)):
        assert js.crypto.getRandomValues(array) is array
        assert any(array)
    assert len(js.crypto.getRandomValues(bytes(16))) == 16
    with pytest.raises(TypeError, match="not of type 'ArrayBufferView'"):
        js.crypto.getRandomValues([1])
    with pytest.raises(js.DOMException, match="64K") as raised:
        js.crypto.getRandomValues(js.Uint8Array.new(65_537))
    assert (raised.value.name, raised.value.code) == ("QuotaExceededError", 22)


async def test_a_generated_key_signs_and_is_as_long_as_a_block() -> None:
    subtle = js.crypto.subtle
    key = await subtle.generateKey({"name": "HMAC", "hash": "SHA-512"}, True, ["sign", "verify"])
    assert (await subtle.exportKey("raw", key)).byteLength == 128
    signature = await subtle.sign("HMAC", key, b"data")
    assert await subtle.verify("HMAC", key, signature, b"data")
    again = await subtle.importKey(
        "jwk", await subtle.exportKey("jwk", key), {"name": "HMAC", "hash": "SHA-512"}, False, ["verify"]
    )
    assert await subtle.verify("HMAC", again, signature, b"data")
    assert "secret" not in repr(key)


async def test_more_iterations_than_production_allows_are_an_error() -> None:
    key = await js.crypto.subtle.importKey("raw", b"x", "PBKDF2", False, ["deriveBits"])
    algorithm = {"name": "PBKDF2", "hash": "SHA-256", "salt": b"", "iterations": 100_001}
    with pytest.raises(js.DOMException, match="iteration counts above 100000 are not supported"):
        await js.crypto.subtle.deriveBits(algorithm, key, 256)


async def test_what_the_standard_library_cannot_do_is_named() -> None:
    subtle: Any = js.crypto.subtle
    with pytest.raises(NotEmulatedError, match=r"^crypto\.subtle\.encrypt is not emulated yet"):
        await subtle.encrypt({"name": "AES-GCM"}, None, b"")
    with pytest.raises(NotEmulatedError, match=r"^crypto\.subtle\.importKey with AES-GCM is not emulated yet"):
        await subtle.importKey("raw", bytes(16), "AES-GCM", False, ["encrypt"])
    with pytest.raises(NotEmulatedError, match=r"^crypto\.subtle\.sign with ECDSA is not emulated yet"):
        await subtle.sign({"name": "ECDSA"}, None, b"")
