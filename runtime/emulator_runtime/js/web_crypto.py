"""`crypto`: random values, and of `crypto.subtle` what Python's standard library can do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import uuid
from collections.abc import Sequence
from typing import Any, Final

from emulator_runtime.buffers import bytes_of
from emulator_runtime.errors import NotEmulated, NotEmulatedError
from emulator_runtime.js.buffers import ArrayBuffer, Float16Array, Float32Array, Float64Array, TypedArray
from emulator_runtime.js.errors import DOMException
from emulator_runtime.js.errors import TypeError as JsTypeError
from emulator_runtime.values import AttributeDict

_HASHES: Final = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_MAX_RANDOM_BYTES: Final = 65_536
_ELSEWHERE: Final = "packages such as cryptography do the same here, and in production those that Pyodide has"


class CryptoKey:
    """A key of `crypto.subtle`: `type`, `extractable`, `algorithm` and `usages`."""

    def __init__(self, secret: bytes, algorithm: AttributeDict, extractable: bool, usages: list[str]) -> None:
        self.type = "secret"
        self.extractable = extractable
        self.algorithm = algorithm
        self.usages = usages
        self.secret = secret
        """The key itself. Not part of production's interface."""

    def __repr__(self) -> str:
        return f"<CryptoKey for {self.algorithm['name']}>"


class SubtleCrypto:
    """Digests (SHA and MD5), HMAC (`importKey`, `generateKey`, `exportKey`, `sign`, `verify`), and `deriveBits` with
    PBKDF2 and HKDF. Everything else raises `NotEmulatedError`."""

    decrypt = NotEmulated("crypto.subtle.decrypt", _ELSEWHERE)
    deriveKey = NotEmulated("crypto.subtle.deriveKey", "deriveBits and importKey do the same for HMAC")
    encrypt = NotEmulated("crypto.subtle.encrypt", _ELSEWHERE)
    unwrapKey = NotEmulated("crypto.subtle.unwrapKey", _ELSEWHERE)
    wrapKey = NotEmulated("crypto.subtle.wrapKey", _ELSEWHERE)

    async def digest(self, algorithm: Any, data: Any) -> ArrayBuffer:
        """The hash of a buffer: `SHA-1`, `SHA-256`, `SHA-384`, `SHA-512` or `MD5`."""
        return _buffer(hashlib.new(_hash(_given(algorithm)), _bytes(data, "digest", 2)).digest())

    async def importKey(self, format: str, keyData: Any, algorithm: Any, extractable: Any, keyUsages: Any) -> CryptoKey:
        """A key for HMAC, PBKDF2 or HKDF, of the format `raw`, or for HMAC also `jwk`."""
        given = _given(algorithm)
        name = _name(given)
        if name == "HMAC":
            usages = _usages(keyUsages, ("sign", "verify"))
            secret = _jwk_secret(keyData) if format == "jwk" else _raw_secret(format, keyData)
            if not secret:
                raise DOMException("HMAC key data must not be empty.", "DataError")
            return CryptoKey(secret, _hmac_algorithm(given, len(secret)), bool(extractable), usages)
        if name in ("PBKDF2", "HKDF"):
            usages = _usages(keyUsages, ("deriveBits", "deriveKey"))
            if extractable:
                raise DOMException(f"{name} keys must not be extractable.", "SyntaxError")
            return CryptoKey(_raw_secret(format, keyData), AttributeDict(name=name), False, usages)
        raise _not_emulated("importKey", name)

    async def generateKey(self, algorithm: Any, extractable: Any, keyUsages: Any) -> CryptoKey:
        """A new key for HMAC, as long as a block of its hash unless `length`, in bits, is given."""
        given = _given(algorithm)
        if _name(given) != "HMAC":
            raise _not_emulated("generateKey", _name(given))
        bits = given.get("length") or hashlib.new(_hash(_given(given.get("hash")))).block_size * 8
        secret = os.urandom((int(bits) + 7) // 8)
        usages = _usages(keyUsages, ("sign", "verify"))
        if not usages:
            raise DOMException("Usages cannot be empty when creating a key.", "SyntaxError")
        return CryptoKey(secret, _hmac_algorithm(given, len(secret)), bool(extractable), usages)

    async def exportKey(self, format: str, key: CryptoKey) -> Any:
        """The key as a buffer (`raw`) or an object (`jwk`)."""
        if not key.extractable:
            raise DOMException("Attempt to export non-extractable key.", "InvalidAccessError")
        if format == "raw":
            return _buffer(key.secret)
        if format != "jwk":
            raise DOMException(f"Unrecognized key export format: {format}", "NotSupportedError")
        text = base64.urlsafe_b64encode(key.secret).rstrip(b"=").decode()
        name = "HS" + str(key.algorithm["hash"]["name"]).removeprefix("SHA-")
        return AttributeDict(kty="oct", k=text, alg=name, key_ops=list(key.usages), ext=True)

    async def sign(self, algorithm: Any, key: CryptoKey, data: Any) -> ArrayBuffer:
        """The HMAC of a buffer."""
        return _buffer(self._mac(algorithm, key, data, "sign"))

    async def verify(self, algorithm: Any, key: CryptoKey, signature: Any, data: Any) -> bool:
        """Whether `signature` is the HMAC of a buffer."""
        return hmac.compare_digest(_bytes(signature, "verify", 3), self._mac(algorithm, key, data, "verify"))

    def _mac(self, algorithm: Any, key: CryptoKey, data: Any, usage: str) -> bytes:
        name = _name(_given(algorithm))
        if name != "HMAC":
            raise _not_emulated(usage, name)
        _check_usage(key, name, usage)
        content = _bytes(data, usage, 3 if usage == "sign" else 4)
        return hmac.digest(key.secret, content, _hash(key.algorithm["hash"]))

    async def deriveBits(self, algorithm: Any, baseKey: CryptoKey, length: int) -> ArrayBuffer:
        """`length` bits derived from a key, with PBKDF2 or HKDF."""
        given = _given(algorithm)
        name = _name(given)
        if name not in ("PBKDF2", "HKDF"):
            raise _not_emulated("deriveBits", name)
        _check_usage(baseKey, name, "deriveBits")
        if not length or length % 8:
            raise DOMException(f"deriveBits requires a length that is a multiple of 8, not {length}.", "OperationError")
        digest = _hash(_given(given.get("hash")))
        salt = _bytes(given.get("salt"), "deriveBits", 1)
        if name == "PBKDF2":
            iterations = int(given.get("iterations") or 0)
            if iterations <= 0:
                raise DOMException("PBKDF2 requires a positive number of iterations.", "OperationError")
            if iterations > 100_000:
                raise DOMException(
                    f"Pbkdf2 failed: iteration counts above 100000 are not supported (requested {iterations}).",
                    "NotSupportedError",
                )
            return _buffer(hashlib.pbkdf2_hmac(digest, baseKey.secret, salt, iterations, length // 8))
        info = _bytes(given.get("info"), "deriveBits", 1)
        return _buffer(_hkdf(digest, baseKey.secret, salt, info, length // 8))

    def timingSafeEqual(self, a: Any, b: Any) -> bool:
        """Whether two buffers of one length are equal, found out in a time that does not depend on the content."""
        first, second = _bytes(a, "timingSafeEqual", 1), _bytes(b, "timingSafeEqual", 2)
        if len(first) != len(second):
            raise JsTypeError("Input buffers must have the same byte length.")
        return hmac.compare_digest(first, second)


class Crypto:
    """`crypto.randomUUID()`, `crypto.getRandomValues()` and `crypto.subtle`."""

    DigestStream = NotEmulated("crypto.DigestStream", "Python's hashlib does the same")
    subtle: Final = SubtleCrypto()

    def randomUUID(self) -> str:
        return str(uuid.uuid4())

    def getRandomValues(self, array: Any) -> Any:
        """Fill a typed array of integers, or a bytearray, with at most 65,536 random bytes, and return it. Other bytes
        cannot be filled; as many random ones are returned."""
        if isinstance(array, (Float16Array, Float32Array, Float64Array)):
            raise DOMException("getRandomValues() takes typed arrays of integers only.", "TypeMismatchError")
        content = bytes_of(array)
        if content is None:
            raise JsTypeError(
                "Failed to execute 'getRandomValues' on 'Crypto': parameter 1 is not of type 'ArrayBufferView'."
            )
        if len(content) > _MAX_RANDOM_BYTES:
            raise DOMException(
                f"getRandomValues() only accepts buffers of size <= 64K but provided {len(content)} bytes.",
                "QuotaExceededError",
            )
        random = os.urandom(len(content))
        if isinstance(array, TypedArray):
            array.assign(random)
            return array
        if isinstance(array, bytearray):
            array[:] = random
            return array
        return type(array)(random)


crypto = Crypto()


def _given(algorithm: Any) -> dict[str, Any]:
    """An algorithm as a dict: it may be its name alone."""
    return algorithm if isinstance(algorithm, dict) else {"name": algorithm}


def _name(algorithm: dict[str, Any]) -> str:
    return str(algorithm.get("name")).upper()


def _hash(algorithm: dict[str, Any]) -> str:
    name = _name(algorithm)
    if name not in _HASHES:
        raise DOMException(f'Unrecognized or unimplemented digest algorithm "{name}" requested.', "NotSupportedError")
    return _HASHES[name]


def _hmac_algorithm(given: dict[str, Any], length: int) -> AttributeDict:
    digest = _given(given.get("hash"))
    _hash(digest)
    return AttributeDict(name="HMAC", hash=AttributeDict(name=_name(digest)), length=length * 8)


def _bytes(data: Any, call: str, place: int) -> bytes:
    content = bytes_of(data)
    if content is None:
        raise JsTypeError(
            f"Failed to execute '{call}' on 'SubtleCrypto': parameter {place} is not of type 'ArrayBuffer or "
            "ArrayBufferView'."
        )
    return content


def _raw_secret(format: str, data: Any) -> bytes:
    if format != "raw":
        raise DOMException(f'Unrecognized key import format "{format}".', "NotSupportedError")
    return _bytes(data, "importKey", 2)


def _jwk_secret(key: Any) -> bytes:
    if not isinstance(key, dict) or key.get("kty") != "oct" or not isinstance(key.get("k"), str):
        raise DOMException(
            'HMAC "jwk" key import requires a JSON Web Key with Key Type parameter "kty" equal to "oct"', "DataError"
        )
    return base64.urlsafe_b64decode(key["k"] + "=" * (-len(key["k"]) % 4))


def _usages(given: Any, possible: Sequence[str]) -> list[str]:
    usages = list(given or ())
    for usage in usages:
        if usage not in possible:
            raise DOMException(f'Attempt to import key with invalid usage "{usage}".', "SyntaxError")
    return [usage for usage in possible if usage in usages]


def _check_usage(key: CryptoKey, name: str, usage: str) -> None:
    if key.algorithm["name"] != name:
        raise DOMException(f'Requested algorithm "{name}" does not match this CryptoKey.', "InvalidAccessError")
    if usage not in key.usages:
        message = f'Requested key usage "{usage}" does not match any usage listed in this CryptoKey.'
        raise DOMException(message, "InvalidAccessError")


def _hkdf(digest: str, secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    size = hashlib.new(digest).digest_size
    if length > 255 * size:
        raise DOMException("HKDF deriveBits failed.", "OperationError")
    extracted = hmac.digest(salt or bytes(size), secret, digest)
    block, derived = b"", b""
    for count in range(1, -(-length // size) + 1):
        block = hmac.digest(extracted, block + info + bytes([count]), digest)
        derived += block
    return derived[:length]


def _not_emulated(call: str, algorithm: str) -> NotEmulatedError:
    return NotEmulatedError.of(f"crypto.subtle.{call} with {algorithm}", _ELSEWHERE)


def _buffer(content: bytes) -> ArrayBuffer:
    return ArrayBuffer.holding(content)
