"""What `js` and `pyodide` give to worker code."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import struct
import subprocess
import sys
from array import array
from datetime import UTC, datetime
from typing import Any

import pytest

from emulator_runtime import invocation, js, workers
from emulator_runtime.errors import NotEmulatedError
from emulator_runtime.pyodide import ffi
from emulator_runtime.pyodide import http as pyodide_http
from emulator_runtime.workers.headers import Headers


async def test_a_response_is_made_as_in_javascript() -> None:
    options = ffi.to_js({"status": 201, "headers": {"x-a": "1"}}, dict_converter=js.Object.fromEntries)
    response = js.Response.new("hi", options)
    assert isinstance(response, workers.Response)
    assert (response.status, response.statusText, response.ok) == (201, "Created", True)
    assert isinstance(response.headers, Headers)
    response.headers.set("x-b", "2")
    assert dict(response.headers)["x-b"] == "2"
    assert await response.text() == "hi"
    assert response.bodyUsed
    keywords = js.Response.new(None, status=404, headers=js.Headers.new({"x-a": "1"}.items()))
    assert (keywords.status, keywords.headers.get("x-a")) == (404, "1")


def test_a_response_is_made_with_the_options_of_another() -> None:
    first = js.Response.new("x", {"status": 201, "headers": {"x-a": "1"}})
    second = js.Response.new("y", first)
    second.headers.set("x-a", "2")
    assert (second.status, first.headers.get("x-a")) == (201, "1")


async def test_json_and_redirect_of_the_javascript_response() -> None:
    response = js.Response.json({"a": 1}, {"status": 201, "headers": {"x-a": "1"}})
    assert (response.status, response.headers.get("content-type")) == (201, "application/json")
    assert (await response.json()).a == 1
    assert js.Response.redirect("https://a").status == 302
    assert (await js.Response.new(b"ab").arrayBuffer()).to_bytes() == b"ab"
    assert await js.Response.new("x").clone().text() == "x"


async def test_a_request_is_made_as_in_javascript() -> None:
    request = js.Request.new("https://a", {"method": "POST", "headers": {"x-a": "1"}, "body": '{"a": 1}'})
    request.headers.set("x-b", "2")
    assert (request.method, request.headers.get("x-a"), request.headers.get("x-b")) == ("POST", "1", "2")
    assert (await request.clone().json()).a == 1
    assert (await request.arrayBuffer()).byteLength == 8
    with pytest.raises(TypeError, match="options must be a dict"):
        js.Request.new("https://a", 5)


async def test_fetch_takes_options_as_a_dict_or_keywords() -> None:
    sent: list[workers.Request] = []

    async def outbound(request: workers.Request) -> workers.Response:
        sent.append(request)
        return workers.Response("x", status=418)

    invocation.current.set(invocation.Invocation(invocation.Scope("worker", None, outbound), None))
    assert (await js.fetch("https://a", {"method": "PUT"})).status == 418
    await js.fetch("https://a", method="DELETE")
    await js.fetch(js.Request.new("https://a"))
    answer = await pyodide_http.pyfetch("https://a", method="POST", body="x")
    assert await answer.string() == "x"
    assert [str(request.method) for request in sent] == ["PUT", "DELETE", "GET", "POST"]


def test_objects_and_json() -> None:
    made = js.Object.fromEntries([["a", 1], ["b", {"c": 2}]])
    assert (made.a, made.b.c) == (1, 2)
    assert js.Object.keys(made) == ["a", "b"]
    assert js.Object.entries({"a": 1}) == [["a", 1]]
    assert js.Object.values({"a": 1}) == [1]
    assert js.Object.assign({}, {"a": 1}, {"b": 2}) == {"a": 1, "b": 2}
    assert js.JSON.stringify({"a": [1, None, "é"]}) == '{"a":[1,null,"é"]}'
    assert js.JSON.stringify({"at": js.Date.new(0)}) == '{"at":"1970-01-01T00:00:00.000Z"}'
    assert js.JSON.parse('{"a": {"b": 1}}').a.b == 1
    assert js.Array.new(1, 2) == getattr(js.Array, "from")((1, 2)) == [1, 2]
    assert js.Array.isArray([])


def test_dates() -> None:
    assert abs(js.Date.now() - datetime.now(UTC).timestamp() * 1000) < 5000
    date = js.Date.new("2026-02-03T04:05:06.789Z")
    assert date.getTime() == js.Date.parse("2026-02-03T04:05:06.789Z") == 1770091506789
    assert date.toISOString() == "2026-02-03T04:05:06.789Z"
    assert date.toUTCString() == "Tue, 03 Feb 2026 04:05:06 GMT"
    assert (date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), date.getUTCDay()) == (2026, 1, 3, 2)
    assert (date.getHours(), date.getMinutes(), date.getSeconds(), date.getMilliseconds()) == (4, 5, 6, 789)
    assert js.Date.new(2026, 1, 3, 4, 5, 6, 789) == js.Date.new(date) == date
    assert js.Date.new(2026, 1).toISOString() == "2026-02-01T00:00:00.000Z"
    assert js.Date.new(datetime(1970, 1, 1, tzinfo=UTC)).getTime() == 0
    with pytest.raises(ValueError, match="Invalid Date"):
        js.Date.new("yesterday")


def test_the_console_prints(capsys: pytest.CaptureFixture[str]) -> None:
    js.console.log("a", 1, {"b": [None, True]}, None, True)
    js.console.error("bad")
    captured = capsys.readouterr()
    assert captured.out == 'a 1 {"b":[null,true]} null true\n'
    assert captured.err == "bad\n"


async def test_timers() -> None:
    fired: list[str] = []
    finished = asyncio.Event()

    async def finish() -> None:
        finished.set()

    js.clearTimeout(js.setTimeout(lambda: fired.append("never"), 0))
    js.clearTimeout(None)
    js.queueMicrotask(lambda: fired.append("micro"))
    js.setTimeout(fired.append, 0, "timer")
    js.setTimeout(finish, 1)
    await finished.wait()
    assert fired == ["micro", "timer"]


@pytest.mark.parametrize("name", ["EventSource", "connect", "AbortController"])
def test_well_known_names_can_be_imported_and_say_what_is_missing_when_used(name: str) -> None:
    missing: Any = getattr(importlib.import_module("emulator_runtime.js"), name)
    with pytest.raises(NotEmulatedError, match=f"js.{name} is not emulated yet"):
        missing.new()
    with pytest.raises(NotEmulatedError, match=f"js.{name} is not emulated yet"):
        missing()
    assert name in repr(missing)


def test_an_unknown_name_of_js_says_what_is_there() -> None:
    with pytest.raises(NotEmulatedError, match=r"js.document is not emulated yet; js has .*JSON"):
        from emulator_runtime.js import document  # noqa: F401


def test_to_js_copies_containers_and_passes_the_rest() -> None:
    value = {"a": [(1, 2)], "b": {"c": None}}
    made = ffi.to_js(value)
    assert made == {"a": [[1, 2]], "b": {"c": None}}
    assert made.b.c is None
    assert ffi.to_js(b"x").to_bytes() == b"x"
    assert ffi.to_js(value, dict_converter=js.Object.fromEntries, create_pyproxies=False).b.c is None
    assert ffi.to_js(value, dict_converter=dict) == {"a": [[1, 2]], "b": {"c": None}}
    assert ffi.to_js(value, depth=1)["a"] is value["a"]
    assert ffi.to_js({1}, default_converter=lambda obj, _convert, _cache: sorted(obj)) == [1]
    response = workers.Response("x")
    assert ffi.to_js(response) is response


async def test_proxies_are_the_objects_themselves_with_destroy() -> None:
    def callback(value: int) -> int:
        return value + 1

    proxy: Any = ffi.create_proxy(callback)
    assert proxy(1) == 2
    proxy.destroy()
    method: Any = ffi.create_once_callable([].append)
    method(1)
    method.destroy()

    async def work() -> int:
        return 1

    running: Any = ffi.create_proxy(work())
    assert await running == 1
    running.destroy()
    assert not isinstance({}, ffi.JsProxy)
    assert isinstance(ffi.JsException("x"), Exception)


def test_run_sync_says_why_it_cannot_outside_of_a_handler() -> None:
    async def work() -> None: ...

    with pytest.raises(RuntimeError, match="Cannot stack switch: run_sync works while an event is handled"):
        ffi.run_sync(work())
    assert not ffi.can_run_sync()


def test_pyodide_has_a_version() -> None:
    from emulator_runtime import pyodide

    assert pyodide.__version__.count(".") == 2


def test_what_few_workers_use_is_imported_when_it_is_used() -> None:
    code = (
        "import sys, emulator_runtime.js\n"
        "print(sorted(name.rpartition('.')[2] for name in sys.modules if name.startswith('emulator_runtime.js.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['date', 'objects', 'timers']"
    for name in (*js.__all__, *js._RARE):
        assert hasattr(js, name)
    assert js.undefined is None


def test_no_name_of_js_is_also_a_module_here() -> None:
    """An import of the module would take the place of the name."""
    modules = {module.name for module in pkgutil.iter_modules(js.__path__)}
    assert not modules & {*js.__all__, *js._RARE}


def test_buffers_of_python_become_typed_arrays() -> None:
    made = ffi.to_js(b"ab")
    assert isinstance(made, js.Uint8Array)
    made[0] = 120
    assert made.to_bytes() == b"xb"
    assert isinstance(ffi.to_js({"a": array("f", [1.5])})["a"], js.Float32Array)
    assert list(ffi.to_js(memoryview(array("h", [-1, 2])))) == [-1, 2]
    assert isinstance(made, ffi.JsBuffer)
    assert isinstance(made, ffi.JsTypedArray)
    with pytest.raises(TypeError, match="no typed array"):
        ffi.to_js(memoryview(bytes(struct.calcsize("P"))).cast("P"))
