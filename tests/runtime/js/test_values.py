"""`Map`, `Set`, `Error` and the like as Python code uses them. `test_like_workerd` compares the rest."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from emulator_runtime import js, workers
from emulator_runtime.errors import NotEmulatedError
from emulator_runtime.pyodide.ffi import JsException


def test_a_map_is_a_dict_and_a_set_a_set() -> None:
    made = js.Map.new({"a": 1})
    seen: list[object] = []
    made.forEach(lambda value, key, _map: seen.append((key, value)))
    assert (made["a"], made.get("b"), seen, made.to_py()) == (1, None, [("a", 1)], {"a": 1})
    collected = js.Set.new("ab")
    collected.forEach(lambda item, _again, _set: seen.append(item))
    assert (collected == {"a", "b"}, collected.to_py(), seen[1:]) == (True, {"a", "b"}, ["a", "b"])
    collected.clear()
    assert (repr(collected), made.size) == ("Set([])", 1)


def test_an_error_is_raised_and_caught_as_javascripts_and_as_pythons() -> None:
    with pytest.raises(TypeError, match="wrong") as raised:
        raise js.TypeError.new("wrong", {"cause": 5})
    assert isinstance(raised.value, JsException)
    assert isinstance(raised.value, js.TypeError)
    assert (raised.value.name, raised.value.message, raised.value.cause) == ("TypeError", "wrong", 5)
    with pytest.raises(ValueError, match="far"):
        raise js.RangeError.new("far")
    assert js.AggregateError.new([js.Error.new("a")], "all").errors[0].message == "a"


def test_what_cannot_be_cloned_says_so() -> None:
    with pytest.raises(js.DOMException, match="could not be cloned") as raised:
        js.structuredClone({"a": [print]})
    assert raised.value.name == "DataCloneError"
    moment = js.Date.new(0)
    clone = js.structuredClone({"a": moment, "b": js.Map.new([["x", [1]]]), "c": b"x", "d": {1, 2}, "e": (1,)})
    assert clone == {"a": moment, "b": {"x": [1]}, "c": b"x", "d": {1, 2}, "e": [1]}
    assert isinstance(clone["b"], js.Map)


@pytest.mark.parametrize(("pattern", "flags"), [(r"\p{L}", "u"), ("(?<=a+)b", ""), ("a", "v")])
def test_patterns_that_python_cannot_match_are_named(pattern: str, flags: str) -> None:
    with pytest.raises(NotEmulatedError, match="RegExp is not emulated yet"):
        js.RegExp.new(pattern, flags)


def test_an_encoding_that_is_unknown_is_an_error_of_range() -> None:
    with pytest.raises(js.RangeError, match="not a valid encoding"):
        js.TextDecoder.new("hex")
    with pytest.raises(TypeError, match="parameter 1 is not of type"):
        js.TextDecoder.new().decode("text")


def test_values_of_js_cross_rpc() -> None:
    sent = workers.python_to_rpc({"when": datetime(2026, 1, 2, tzinfo=UTC), "error": KeyError("k"), "f": print})
    assert sent.when.toISOString() == "2026-01-02T00:00:00.000Z"
    assert isinstance(sent.error, js.Error)
    assert sent.f is print
    with pytest.raises(TypeError, match="RegExp cannot be sent over RPC"):
        workers.python_to_rpc([js.RegExp.new("a")])
    given = workers.python_from_rpc(
        {
            "when": js.Date.new(0),
            "map": js.Map.new([["a", 1]]),
            "set": js.Set.new([1]),
            "bytes": js.Uint8Array.new([65]),
        }
    )
    assert given.when == datetime(1970, 1, 1)
    assert (given.map, given.set, given.bytes.tobytes()) == ({"a": 1}, {1}, b"A")
    assert str(workers.python_from_rpc(js.TypeError.new("x"))) == "TypeError: x"
