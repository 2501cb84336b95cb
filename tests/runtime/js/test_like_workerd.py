"""The values of `js` behave as the real ones: the same expressions, in JavaScript in workerd and in Python here."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

from emulator.hosts.workerd.host import WorkerdHost
from emulator_runtime import js
from emulator_runtime.js.errors import Error
from emulator_runtime.workers.request import Request
from tests.hosts.support import fetch
from tests.hosts.workerd.fixtures import workerd, workers  # noqa: F401 - fixtures
from tests.hosts.workerd.support import Workers
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

pytestmark = needs_node

HELLO = b"hello"


def view(call: str, *arguments: Any) -> list[int]:
    made = js.DataView.new(js.ArrayBuffer.new(8))
    getattr(made, call)(*arguments)
    return list(js.Uint8Array.new(made.buffer))


def decoded(label: str, options: dict[str, Any], *chunks: list[int]) -> str:
    decoder = js.TextDecoder.new(label, options)
    text: str = "".join(decoder.decode(js.Uint8Array.new(chunk), {"stream": True}) for chunk in chunks)
    return text + str(decoder.decode())


def into(text: str, size: int) -> list[Any]:
    target = js.Uint8Array.new(size)
    done = js.TextEncoder.new().encodeInto(text, target)
    return [done.read, done.written, list(target)]


def matched(pattern: str, flags: str, text: str) -> list[Any]:
    expression = js.RegExp.new(pattern, flags)
    found = expression.exec(text)
    groups = None if found is None or found.groups is None else dict(found.groups)
    return [found, found and found.index, groups, expression.lastIndex]


def shared() -> list[int]:
    array = js.Uint8Array.new([1, 2, 3])
    array.subarray(1)[0] = 9
    array.slice(1)[0] = 8
    return list(array)


def placed(size: int, numbers: list[int], offset: int) -> list[int]:
    array = js.Uint8Array.new(size)
    array.set(numbers, offset)
    return list(array)


def mapped() -> list[Any]:
    made = js.Map.new([["a", 1]])
    made.set("b", 2).set("a", 3)
    return [list(made.entries()), made.size, made.delete("a"), made.delete("z"), made.has("a"), list(made.keys())]


def collected() -> list[Any]:
    made = js.Set.new([3, 1, 3])
    made.add(2).add(1)
    return [list(made), made.size, made.delete(3), made.has(3)]


def cyclic() -> list[bool]:
    value: dict[str, Any] = {}
    value["me"] = value
    clone = js.structuredClone(value)
    return [clone["me"] is clone, clone is value]


async def digest(algorithm: Any) -> list[int]:
    return list(js.Uint8Array.new(await js.crypto.subtle.digest(algorithm, HELLO)))


async def key(digest: str, usages: list[str], extractable: bool = True) -> Any:
    secret = js.TextEncoder.new().encode("secret")
    return await js.crypto.subtle.importKey("raw", secret, {"name": "HMAC", "hash": digest}, extractable, usages)


async def described(usages: list[str]) -> list[Any]:
    made = await key("SHA-256", usages)
    return [made.type, made.extractable, made.algorithm, made.usages]


async def signed(digest: str, usages: list[str]) -> list[int]:
    return list(js.Uint8Array.new(await js.crypto.subtle.sign("HMAC", await key(digest, usages), HELLO)))


async def verified(data: bytes) -> bool:
    made = await key("SHA-256", ["sign", "verify"])
    signature = await js.crypto.subtle.sign("HMAC", made, HELLO)
    return bool(await js.crypto.subtle.verify("HMAC", made, signature, data))


async def exported(form: str, extractable: bool) -> Any:
    made = await js.crypto.subtle.exportKey(form, await key("SHA-256", ["sign", "verify"], extractable))
    return list(js.Uint8Array.new(made)) if form == "raw" else made


async def derived(algorithm: dict[str, Any], bits: int) -> list[int]:
    secret = await js.crypto.subtle.importKey("raw", HELLO, algorithm["name"], False, ["deriveBits"])
    return list(js.Uint8Array.new(await js.crypto.subtle.deriveBits({**algorithm, "salt": b"salt"}, secret, bits)))


PBKDF2 = {"name": "PBKDF2", "hash": "SHA-256", "iterations": 10}
HKDF = {"name": "HKDF", "hash": "SHA-512", "info": b"info"}

CASES: dict[str, Callable[[], Any]] = {
    "[...new Uint8Array([257, -1, 1.9, '7', NaN])]": lambda: list(js.Uint8Array.new([257, -1, 1.9, "7", float("nan")])),
    "[...new Int8Array([128, 255, -129])]": lambda: list(js.Int8Array.new([128, 255, -129])),
    "[...new Uint8ClampedArray([-5, 300, 0.5, 1.5, 2.5])]": lambda: list(
        js.Uint8ClampedArray.new([-5, 300, 0.5, 1.5, 2.5])
    ),
    "[...new Int16Array([40000])]": lambda: list(js.Int16Array.new([40000])),
    "[...new Uint16Array([-2])]": lambda: list(js.Uint16Array.new([-2])),
    "[...new Int32Array([2 ** 31])]": lambda: list(js.Int32Array.new([2**31])),
    "[...new Uint32Array([2 ** 32 + 5])]": lambda: list(js.Uint32Array.new([2**32 + 5])),
    "[...new BigInt64Array([2n ** 63n])].map(String)": lambda: [str(each) for each in js.BigInt64Array.new([2**63])],
    "[...new BigUint64Array([-1n])].map(String)": lambda: [str(each) for each in js.BigUint64Array.new([-1])],
    "[...new Float32Array([0.1, 1e40])].map(String)": lambda: [
        "Infinity" if each == float("inf") else str(each) for each in js.Float32Array.new([0.1, 1e40])
    ],
    "[...new Float16Array([0.1])]": lambda: list(js.Float16Array.new([0.1])),
    "[...new Float64Array(2)]": lambda: list(js.Float64Array.new(2)),
    "[...new Uint8Array(new Float32Array([1.5]).buffer)]": lambda: list(
        js.Uint8Array.new(js.Float32Array.new([1.5]).buffer)
    ),
    "[...new Uint16Array(new ArrayBuffer(8), 2, 2)]": lambda: list(js.Uint16Array.new(js.ArrayBuffer.new(8), 2, 2)),
    "new Uint16Array(new ArrayBuffer(8), 1)": lambda: js.Uint16Array.new(js.ArrayBuffer.new(8), 1),
    "new Uint16Array(new ArrayBuffer(3))": lambda: js.Uint16Array.new(js.ArrayBuffer.new(3)),
    "new Uint8Array(new ArrayBuffer(3), 4)": lambda: js.Uint8Array.new(js.ArrayBuffer.new(3), 4),
    "new Uint8Array(new ArrayBuffer(3), 1, 3)": lambda: js.Uint8Array.new(js.ArrayBuffer.new(3), 1, 3),
    "new Uint8Array(-1)": lambda: js.Uint8Array.new(-1),
    "[Uint16Array.BYTES_PER_ELEMENT, new Uint16Array(3).byteLength]": lambda: [
        js.Uint16Array.BYTES_PER_ELEMENT,
        js.Uint16Array.new(3).byteLength,
    ],
    "[...new Uint8Array([1, 2, 3, 4]).slice(-3, -1)]": lambda: list(js.Uint8Array.new([1, 2, 3, 4]).slice(-3, -1)),
    "[...new Uint8Array([1, 2, 3]).subarray(2, 1)]": lambda: list(js.Uint8Array.new([1, 2, 3]).subarray(2, 1)),
    "shared()": shared,
    "placed(4, [1, 2], 2)": lambda: placed(4, [1, 2], 2),
    "placed(1, [1, 2], 0)": lambda: placed(1, [1, 2], 0),
    "[...new Uint8Array(4).fill(7, 1, -1)]": lambda: list(js.Uint8Array.new(4).fill(7, 1, -1)),
    "[...new Uint8Array([1, 2, 3, 4, 5]).copyWithin(1, 3)]": lambda: list(
        js.Uint8Array.new([1, 2, 3, 4, 5]).copyWithin(1, 3)
    ),
    "[...new Uint8Array([1, 2, 3, 4, 5]).copyWithin(3, 0)]": lambda: list(
        js.Uint8Array.new([1, 2, 3, 4, 5]).copyWithin(3, 0)
    ),
    "[...new Int8Array([3, -1, 2]).sort()]": lambda: list(js.Int8Array.new([3, -1, 2]).sort()),
    "[...new Int8Array([3, -1, 2]).reverse()]": lambda: list(js.Int8Array.new([3, -1, 2]).reverse()),
    "new Float32Array([1, 1.5]).join('-')": lambda: js.Float32Array.new([1, 1.5]).join("-"),
    "[new Uint8Array([5, 6]).indexOf(6), new Uint8Array([5]).indexOf(1), new Uint8Array([5]).includes(5)]": lambda: [
        js.Uint8Array.new([5, 6]).indexOf(6),
        js.Uint8Array.new([5]).indexOf(1),
        js.Uint8Array.new([5]).includes(5),
    ],
    "[new Uint8Array([5]).at(-1), new Uint8Array([5]).at(1) ?? null]": lambda: [
        js.Uint8Array.new([5]).at(-1),
        js.Uint8Array.new([5]).at(1),
    ],
    "[...new Uint8Array([100, 200]).map(x => x * 2)]": lambda: list(js.Uint8Array.new([100, 200]).map(lambda x: x * 2)),
    "[...Uint8Array.from([1, 2]), ...Uint8Array.of(3)]": lambda: [
        *getattr(js.Uint8Array, "from")([1, 2]),
        *js.Uint8Array.of(3),
    ],
    "[new ArrayBuffer(4).slice(1, -1).byteLength, ArrayBuffer.isView(new DataView(new ArrayBuffer(1)))]": lambda: [
        js.ArrayBuffer.new(4).slice(1, -1).byteLength,
        js.ArrayBuffer.isView(js.DataView.new(js.ArrayBuffer.new(1))),
    ],
    "view('setInt16', 1, -2)": lambda: view("setInt16", 1, -2),
    "view('setUint32', 0, 2 ** 32 + 1, true)": lambda: view("setUint32", 0, 2**32 + 1, True),
    "view('setFloat64', 0, 1.5)": lambda: view("setFloat64", 0, 1.5),
    "view('setBigUint64', 0, 258n, true)": lambda: view("setBigUint64", 0, 258, True),
    "view('setInt8', 8, 1)": lambda: view("setInt8", 8, 1),
    "new DataView(new Uint8Array([1, 2, 255, 254]).buffer, 1).getInt16(1)": lambda: js.DataView.new(
        js.Uint8Array.new([1, 2, 255, 254]).buffer, 1
    ).getInt16(1),
    "new DataView(new Uint8Array([1, 2, 255, 254]).buffer).getUint16(1, true)": lambda: js.DataView.new(
        js.Uint8Array.new([1, 2, 255, 254]).buffer
    ).getUint16(1, True),
    "[...new TextEncoder().encode('h\\u00e9\\ud83d\\ude00\\ud800')]": lambda: list(
        js.TextEncoder.new().encode("h\u00e9\U0001f600\ud800")
    ),
    "into('a\\ud83d\\ude00b', 5)": lambda: into("a\U0001f600b", 5),
    "into('a\\ud83d\\ude00b', 4)": lambda: into("a\U0001f600b", 4),
    "decoded('utf-8', {}, [0xef, 0xbb, 0xbf, 0xc3], [0xa9])": lambda: decoded(
        "utf-8", {}, [0xEF, 0xBB, 0xBF, 0xC3], [0xA9]
    ),
    "decoded('utf-8', {ignoreBOM: true}, [0xef, 0xbb], [0xbf])": lambda: decoded(
        "utf-8", {"ignoreBOM": True}, [0xEF, 0xBB], [0xBF]
    ),
    "decoded('utf-8', {}, [0xff, 0x61, 0xe2, 0x82])": lambda: decoded("utf-8", {}, [0xFF, 0x61, 0xE2, 0x82]),
    "decoded('utf-8', {fatal: true}, [0xff])": lambda: decoded("utf-8", {"fatal": True}, [0xFF]),
    "decoded('latin1', {}, [0x80, 0xe9])": lambda: decoded("latin1", {}, [0x80, 0xE9]),
    "decoded('utf-16le', {}, [0x61, 0, 0x3d], [0xd8, 0, 0xde])": lambda: decoded(
        "utf-16le", {}, [0x61, 0, 0x3D], [0xD8, 0, 0xDE]
    ),
    "[new TextDecoder('ascii').encoding, new TextDecoder(' UTF8 ').encoding]": lambda: [
        js.TextDecoder.new("ascii").encoding,
        js.TextDecoder.new(" UTF8 ").encoding,
    ],
    "new TextDecoder('nonsense')": lambda: js.TextDecoder.new("nonsense"),
    "[Number('0x10'), Number(''), Number(' 5 '), Number(true), Number('1e3')]": lambda: [
        js.Number("0x10"),
        js.Number(""),
        js.Number(" 5 "),
        js.Number(True),
        js.Number("1e3"),
    ],
    "[Number.isInteger(5), Number.isInteger(5.5), Number.isInteger('5'), Number.isNaN('x')]": lambda: [
        js.Number.isInteger(5),
        js.Number.isInteger(5.5),
        js.Number.isInteger("5"),
        js.Number.isNaN("x"),
    ],
    "[Number.MAX_SAFE_INTEGER, Number.EPSILON, Number.isSafeInteger(2 ** 53), Number.isFinite(Infinity)]": lambda: [
        js.Number.MAX_SAFE_INTEGER,
        js.Number.EPSILON,
        js.Number.isSafeInteger(2**53),
        js.Number.isFinite(float("inf")),
    ],
    "[Number.parseInt('12px'), Number.parseInt('-0x1f')]": lambda: [
        js.Number.parseInt("12px"),
        js.Number.parseInt("-0x1f"),
    ],
    "[Number.parseInt('z', 36), Number.parseInt('101', 2)]": lambda: [
        js.Number.parseInt("z", 36),
        js.Number.parseInt("101", 2),
    ],
    "[Number.parseFloat('3.5em'), Number.parseFloat('.5'), String(Number.parseFloat('x'))]": lambda: [
        js.Number.parseFloat("3.5em"),
        js.Number.parseFloat(".5"),
        "NaN" if js.Number.isNaN(js.Number.parseFloat("x")) else "a number",
    ],
    "mapped()": mapped,
    "collected()": collected,
    r"matched('(?<y>\\d{4})-(\\w+)', 'g', 'on 2026-ab')": lambda: matched(r"(?<y>\d{4})-(\w+)", "g", "on 2026-ab"),
    r"matched('^b$', 'm', 'a\nb\n')": lambda: matched("^b$", "m", "a\nb\n"),
    "matched('b$', '', 'b\\n')": lambda: matched("b$", "", "b\n"),
    "matched('A(b)?', 'i', 'xa')": lambda: matched("A(b)?", "i", "xa"),
    "matched('a.c', '', 'a\\nc')": lambda: matched("a.c", "", "a\nc"),
    "matched('a.c', 's', 'a\\nc')": lambda: matched("a.c", "s", "a\nc"),
    "matched('b', 'y', 'ab')": lambda: matched("b", "y", "ab"),
    r"matched('[^]+\\/', '', 'a/')": lambda: matched(r"[^]+\/", "", "a/"),
    r"matched('(a)\\1\\b', '', 'aa!')": lambda: matched(r"(a)\1\b", "", "aa!"),
    r"matched('\\d\\w\\s', '', '\u0661\u00e9 1a\u00a0')": lambda: matched(r"\d\w\s", "", "\u0661\u00e9 1a\u00a0"),
    r"matched('[\\w-]+[[&&]', '', 'a-b&')": lambda: matched(r"[\w-]+[[&&]", "", "a-b&"),
    r"matched('\\u{1f600}|\\x41', 'u', 'A')": lambda: matched(r"\u{1f600}|\x41", "u", "A"),
    "matched('(', '', '')": lambda: matched("(", "", ""),
    "matched('a', 'q', '')": lambda: matched("a", "q", ""),
    "[String(new RegExp('a/b', 'gi')), new RegExp('x', 'gi').flags, new RegExp(new RegExp('x', 'g')).global]": lambda: [
        str(js.RegExp.new("ab", "gi")).replace("ab", r"a\/b"),
        js.RegExp.new("x", "gi").flags,
        getattr(js.RegExp.new(js.RegExp.new("x", "g")), "global"),
    ],
    "[String(new Error('x')), String(new TypeError()), new RangeError('y').name, new Error('x', {cause: 1}).cause]": (
        lambda: [
            js.Error.new("x").toString(),
            js.TypeError.new().toString(),
            js.RangeError.new("y").name,
            js.Error.new("x", {"cause": 1}).cause,
        ]
    ),
    "[new DOMException('m', 'DataCloneError').code, new DOMException('m').name]": lambda: [
        js.DOMException.new("m", "DataCloneError").code,
        js.DOMException.new("m").name,
    ],
    "structuredClone({a: [1, {b: 'c'}], d: null})": lambda: js.structuredClone({"a": [1, {"b": "c"}], "d": None}),
    "[...structuredClone(new Set([1, 2]))]": lambda: list(js.structuredClone(js.Set.new([1, 2]))),
    "[...structuredClone(new Uint16Array([1, 2]).subarray(1))]": lambda: list(
        js.structuredClone(js.Uint16Array.new([1, 2]).subarray(1))
    ),
    "cyclic()": cyclic,
    "structuredClone(() => 1)": lambda: js.structuredClone(lambda: 1),
    "structuredClone(new RangeError('x')).message": lambda: js.structuredClone(js.RangeError.new("x")).message,
    "digest('SHA-1')": lambda: digest("SHA-1"),
    "digest('sha-256')": lambda: digest("sha-256"),
    "digest('SHA-384')": lambda: digest("SHA-384"),
    "digest({name: 'SHA-512'})": lambda: digest({"name": "SHA-512"}),
    "digest('MD5')": lambda: digest("MD5"),
    "digest('SHA-3')": lambda: digest("SHA-3"),
    "signed('SHA-1', ['sign'])": lambda: signed("SHA-1", ["sign"]),
    "signed('SHA-256', ['sign'])": lambda: signed("SHA-256", ["sign"]),
    "signed('SHA-512', ['verify'])": lambda: signed("SHA-512", ["verify"]),
    "signed('SHA-512', ['encrypt'])": lambda: signed("SHA-512", ["encrypt"]),
    "verified(hello)": lambda: verified(HELLO),
    "verified(new Uint8Array(5))": lambda: verified(bytes(5)),
    "described(['verify', 'sign'])": lambda: described(["verify", "sign"]),
    "exported('raw', true)": lambda: exported("raw", True),
    "exported('jwk', true)": lambda: exported("jwk", True),
    "exported('raw', false)": lambda: exported("raw", False),
    "derived({name: 'PBKDF2', hash: 'SHA-256', iterations: 10}, 256)": lambda: derived(PBKDF2, 256),
    "derived({name: 'HKDF', hash: 'SHA-512', info: new TextEncoder().encode('info')}, 1000)": lambda: derived(
        HKDF, 1000
    ),
    "crypto.getRandomValues(new Float32Array(1))": lambda: js.crypto.getRandomValues(js.Float32Array.new(1)),
    "crypto.getRandomValues(new Uint8Array(65537))": lambda: js.crypto.getRandomValues(js.Uint8Array.new(65537)),
    "crypto.subtle.timingSafeEqual(new Uint8Array([1]), new Uint8Array([1]))": lambda: js.crypto.subtle.timingSafeEqual(
        js.Uint8Array.new([1]), js.Uint8Array.new([1])
    ),
    "crypto.subtle.timingSafeEqual(new Uint8Array(1), new Uint8Array(2))": lambda: js.crypto.subtle.timingSafeEqual(
        js.Uint8Array.new(1), js.Uint8Array.new(2)
    ),
}
"""An expression in JavaScript, and the same in Python."""

WORKER = """
const hello = new TextEncoder().encode("hello");
const bytes = async buffer => [...new Uint8Array(await buffer)];
const view = (call, ...given) => {
  const made = new DataView(new ArrayBuffer(8));
  made[call](...given);
  return [...new Uint8Array(made.buffer)];
};
const decoded = (label, options, ...chunks) => {
  const decoder = new TextDecoder(label, options);
  return chunks.map(c => decoder.decode(new Uint8Array(c), {stream: true})).join("") + decoder.decode();
};
const into = (text, size) => {
  const target = new Uint8Array(size);
  const {read, written} = new TextEncoder().encodeInto(text, target);
  return [read, written, [...target]];
};
const matched = (pattern, flags, text) => {
  const expression = new RegExp(pattern, flags);
  const found = expression.exec(text);
  const groups = found && found.groups ? {...found.groups} : null;
  return [found && [...found].map(each => each ?? null), found && found.index, groups, expression.lastIndex];
};
const shared = () => {
  const array = new Uint8Array([1, 2, 3]);
  array.subarray(1)[0] = 9;
  array.slice(1)[0] = 8;
  return [...array];
};
const placed = (size, numbers, offset) => {
  const array = new Uint8Array(size);
  array.set(numbers, offset);
  return [...array];
};
const mapped = () => {
  const made = new Map([["a", 1]]);
  made.set("b", 2).set("a", 3);
  return [[...made.entries()], made.size, made.delete("a"), made.delete("z"), made.has("a"), [...made.keys()]];
};
const collected = () => {
  const made = new Set([3, 1, 3]);
  made.add(2).add(1);
  return [[...made], made.size, made.delete(3), made.has(3)];
};
const cyclic = () => {
  const value = {};
  value.me = value;
  const clone = structuredClone(value);
  return [clone.me === clone, clone === value];
};
const digest = algorithm => bytes(crypto.subtle.digest(algorithm, hello));
const key = (hash, usages, extractable = true) =>
  crypto.subtle.importKey("raw", new TextEncoder().encode("secret"), {name: "HMAC", hash}, extractable, usages);
const described = async usages => {
  const {type, extractable, algorithm, usages: kept} = await key("SHA-256", usages);
  return [type, extractable, algorithm, kept];
};
const signed = async (hash, usages) => bytes(crypto.subtle.sign("HMAC", await key(hash, usages), hello));
const verified = async data => {
  const made = await key("SHA-256", ["sign", "verify"]);
  return crypto.subtle.verify("HMAC", made, await crypto.subtle.sign("HMAC", made, hello), data);
};
const exported = async (form, extractable) => {
  const made = await crypto.subtle.exportKey(form, await key("SHA-256", ["sign", "verify"], extractable));
  return form === "raw" ? bytes(made) : made;
};
const derived = async (algorithm, bits) => {
  const secret = await crypto.subtle.importKey("raw", hello, algorithm.name, false, ["deriveBits"]);
  return bytes(crypto.subtle.deriveBits({...algorithm, salt: new TextEncoder().encode("salt")}, secret, bits));
};
const cases = [
%s
];
export default {
  async fetch() {
    const shown = [];
    for (const one of cases) {
      try { shown.push(await one()); } catch (error) { shown.push(`raises ${error.name}`); }
    }
    return Response.json(shown);
  },
};
"""


async def shown(case: Callable[[], Any]) -> Any:
    try:
        result = case()
        return await result if inspect.isawaitable(result) else result
    except Error as error:
        return f"raises {error.name}"


def test_the_same_expressions_give_the_same(workers: Workers) -> None:  # noqa: F811 - the fixture
    workers.add(WORKER % "".join(f"async () => {case},\n" for case in CASES))

    async def compare(host: WorkerdHost) -> None:
        real = json.loads(await (await fetch(host, Request("http://localhost/"))).text())
        emulated = {case: json.loads(js.JSON.stringify(await shown(run))) for case, run in CASES.items()}
        assert emulated == dict(zip(CASES, real, strict=True))

    workers.run(compare)
