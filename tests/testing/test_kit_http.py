"""Requests to workers under test."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from emulator.testing import Emulator
from tests.testing.kit_workers import worker

ECHO = """
async def fetch(self, request):
    body = await request.text()
    cookie = request.headers.get("cookie") or ""
    headers = [("set-cookie", "seen=yes"), ("x-method", str(request.method)), ("x-url", request.url)]
    return Response(f"{request.method} {body} {cookie}".strip(), headers=headers)
"""

ROUTES = """
async def fetch(self, request):
    path = "/" + request.url.split("/", 3)[3]
    if path == "/old":
        return Response.redirect("http://localhost/new", 302)
    if path == "/form":
        form = await request.form_data()
        return Response.json({"name": form.get("name"), "file": await form.get("file").text()})
    if path == "/ticks":
        return Response(ticks())
    if path == "/breaks":
        return Response(breaks())
    if path == "/events":
        return Response.json(events)
    if path == "/boom":
        try:
            deep()
        except KeyError as error:
            raise ValueError("no such product") from error
    return Response(path)
"""

STREAMS = """
async def ticks():
    try:
        number = 0
        while True:
            yield f"{number} ".encode()
            number += 1
            await asyncio.sleep(1)
    finally:
        events.append("ended")


async def breaks():
    yield b"one"
    await asyncio.sleep(1)
    raise LookupError("in the stream")


def deep():
    return {}["product"]
"""


@pytest.fixture
def routes() -> Iterator[Emulator]:
    with Emulator(**worker(ROUTES, more=STREAMS)) as emulator:
        yield emulator


def frames(error: BaseException) -> list[str]:
    return [Path(frame.filename).name for frame in traceback.extract_tb(error.__traceback__)]


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_every_method_has_a_function(method: str) -> None:
    with Emulator(**worker(ECHO)) as emulator:
        assert getattr(emulator, method)("/").text == method.upper()
        assert emulator.request(method.upper(), "/").headers["x-method"] == method.upper()


def test_the_answer_to_a_head_request_has_headers_only() -> None:
    with Emulator(**worker(ECHO)) as emulator:
        response = emulator.head("/x?y=1")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["x-url"] == "http://localhost/x?y=1"


def test_the_client_is_one_of_httpx_and_keeps_cookies() -> None:
    with Emulator(**worker(ECHO)) as emulator:
        assert isinstance(emulator.client, httpx.Client)
        assert emulator.get("/").text == "GET"
        assert emulator.get("/").text == "GET  seen=yes"
        assert emulator.client.cookies["seen"] == "yes"
        assert emulator.dispatch_fetch("/", "PUT", content="x").text == "PUT x"


def test_redirects_are_followed_when_asked_for(routes: Emulator) -> None:
    assert routes.get("/old").status_code == 302
    response = routes.get("/old", follow_redirects=True)
    assert (response.text, len(response.history)) == ("/new", 1)


def test_forms_and_files_arrive(routes: Emulator) -> None:
    response = routes.post("/form", data={"name": "tea"}, files={"file": ("a.txt", b"green")})
    assert response.json() == {"name": "tea", "file": "green"}


def test_a_generator_can_be_the_body() -> None:
    with Emulator(**worker(ECHO)) as emulator:
        assert emulator.post("/", content=(part for part in (b"a", b"b"))).text == "POST ab"


def test_a_stream_is_produced_as_it_is_read_and_ends_when_it_is_left(routes: Emulator) -> None:
    begun = routes.now
    with routes.client.stream("GET", "/ticks") as response:
        chunks = response.iter_bytes()
        assert [next(chunks), next(chunks), next(chunks)] == [b"0 ", b"1 ", b"2 "]
        assert (routes.now - begun).total_seconds() == 2
        assert routes.get("/events").json() == []
    assert routes.get("/events").json() == ["ended"]


def test_a_stream_that_nobody_reads_or_closes_ends_with_the_emulator() -> None:
    with Emulator(**worker(ROUTES, more=STREAMS)) as emulator:
        request = emulator.client.build_request("GET", "/ticks")
        response = emulator.client.send(request, stream=True)
        assert response.status_code == 200
    response.close()


def test_what_a_handler_raises_is_raised_in_the_test_with_the_users_frames_only(routes: Emulator) -> None:
    with pytest.raises(ValueError, match="no such product") as info:
        routes.get("/boom")
    assert [name for name in frames(info.value) if name != "emulators.py"] == ["test_kit_http.py", "entry.py"]
    assert [Path(entry.path).name for entry in info.traceback if not entry.ishidden(info)] == [
        "test_kit_http.py",
        "entry.py",
    ]
    cause = info.value.__cause__
    assert isinstance(cause, KeyError)
    assert frames(cause) == ["entry.py", "entry.py"]


def test_the_client_raises_in_the_same_way(routes: Emulator) -> None:
    with pytest.raises(ValueError, match="no such product") as info:
        routes.client.post("/boom")
    assert "_client.py" not in frames(info.value)


def test_what_a_stream_raises_is_raised_where_it_is_read(routes: Emulator) -> None:
    with pytest.raises(LookupError, match="in the stream") as info:
        routes.get("/breaks")
    assert frames(info.value)[-1] == "entry.py"
    with routes.client.stream("GET", "/breaks") as response:
        chunks = response.iter_bytes()
        assert next(chunks) == b"one"
        with pytest.raises(LookupError, match="in the stream"):
            next(chunks)


def test_without_raise_errors_there_is_the_page_that_a_user_would_see() -> None:
    with Emulator(**worker(ROUTES, more=STREAMS), raise_errors=False) as emulator:
        response = emulator.get("/boom")
        assert response.status_code == 500
        assert "ValueError: no such product" in response.text
        assert "<html" in emulator.get("/boom", headers={"accept": "text/html"}).text
        with pytest.raises(httpx.RemoteProtocolError, match="while its answer was being streamed"):
            emulator.get("/breaks")


def test_several_workers_each_have_a_host_name(tmp_path: Path) -> None:
    for name in ("shop", "mail"):
        (tmp_path / f"{name}.py").write_text(f"from workers import Response\ndef on_fetch(): return Response({name!r})")
        text = f'{{"name": "{name}", "main": "{name}.py", "compatibility_date": "2026-11-01"}}'
        (tmp_path / f"{name}.jsonc").write_text(text)
    with Emulator([tmp_path / "shop.jsonc", tmp_path / "mail.jsonc"]) as emulator:
        assert emulator.get("/").text == "shop"
        assert emulator.get("http://mail.localhost/").text == "mail"
        assert emulator.get("http://shop.localhost/").text == "shop"


def test_the_control_plane_can_be_reached() -> None:
    scheduled = "async def scheduled(self, controller, env, ctx):\n    events.append(controller.cron)"
    with Emulator(**worker(ROUTES, scheduled, more=STREAMS)) as emulator:
        assert emulator.get("/cdn-cgi/handler/scheduled?cron=*").text == "ok"
        assert emulator.get("/events").json() == ["*"]


def test_wait_until_work_that_is_due_is_done_when_the_answer_is_there() -> None:
    fetch = """
    async def fetch(self, request):
        self.ctx.waitUntil(self.work())
        return Response("ok")

    async def work(self):
        for _ in range(50):
            await asyncio.sleep(0)
        await self.env.JOBS.send("now")
        await asyncio.sleep(10)
        await self.env.JOBS.send("later")
    """
    with Emulator(**worker(fetch)) as emulator:
        emulator.get("/")
        jobs = emulator.queue("jobs")
        assert [message.body for message in jobs.messages] == ["now"]
        emulator.queue("jobs").pause()
        emulator.advance(10)
        assert [message.body for message in jobs.messages] == ["now", "later"]


def test_the_code_of_a_worker_is_shown_although_it_is_gone() -> None:
    with (
        pytest.raises(ValueError, match="no such product") as info,
        Emulator(**worker(ROUTES, more=STREAMS)) as emulator,
    ):
        emulator.get("/boom")
    shown = "".join(traceback.format_exception(info.value))
    assert 'raise ValueError("no such product") from error' in shown
    assert 'return {}["product"]' in shown
    for frame in traceback.extract_tb(info.value.__traceback__):
        if frame.filename.endswith("entry.py"):
            del linecache.cache[frame.filename]
