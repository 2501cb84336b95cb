"""What comes from workers, messages and clients is text: whatever it says, nothing of it runs in the browser, and
nothing of it changes how the rest is read."""

from __future__ import annotations

import json
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import API, ROOT, Shop

EVIL = (
    "<script>window.ran=1</script>",
    "<img src=x onerror=window.ran=2>",
    '"><svg onload=window.ran=3>',
    "javascript:window.ran=4",
    "'-window.ran=5-'",
    "{{ 7 * 7 }}{% raw %}",
    "</textarea></pre><script>window.ran=6</script>",
    "<a href='javascript:window.ran=7'>x</a>",
    "\x1b[2J\x1b]8;;http://evil\x07x",
    "a\u202eb\u2066c\u200f",
    "<!--<script>window.ran=8",
)
"""What is put into every field."""

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def pages(shop: Shop) -> list[str]:
    """All addresses that show something of what was sent."""
    identifiers = [each["id"] for each in shop.client.get(f"{ROOT}/api/messages?limit=200").json()["messages"]]
    requests = [each["id"] for each in shop.client.get(f"{ROOT}/api/requests?limit=60").json()["requests"]]
    keys = [f"/data/kv/sessions?key={quote(evil, safe='')}" for evil in EVIL]
    objects = [f"/data/r2/files?key={quote(evil, safe='')}" for evil in EVIL if evil.isprintable()]
    given = [quote(evil, safe="") for evil in EVIL]
    return [
        "/",
        "/queues",
        "/queues/jobs",
        "/queues/jobs-dlq",
        "/messages",
        "/requests",
        "/logs",
        "/workers/shop",
        "/crons",
        "/data/kv/sessions",
        "/data/r2/files",
        "/data/d1/books-1",
        "/data/d1/books-1?table=book",
        *(f"/messages/{each}" for each in identifiers[:24]),
        *(f"/requests/{each}" for each in requests[:24]),
        *keys,
        *objects,
        *(f"/{page}?{field}={each}" for each in given for page, field in (("search", "q"), ("queues", "said"))),
        *(f"/{page}?filter={each}" for page in ("messages", "queues/later") for each in given),
        *(f"/{part}/{each}" for each in given for part in ("queues", "workers", "messages", "requests")),
    ]


def test_nothing_that_was_sent_runs(shop: Shop) -> None:
    configured = json.dumps(EVIL[0])
    for evil in EVIL:
        shop.fail(f"fail {evil}")
        shop.post(evil, f"/fails?{quote(evil)}")
        shop.client.get(
            "/" + quote(evil), headers={"x-evil": evil if evil.isascii() and evil.isprintable() else quote(evil)}
        )
        shop.client.put(f"{API}/storage/kv/namespaces/sessions/values/{quote(evil, safe='')}", content=evil.encode())
        if evil.isprintable():
            shop.client.put(f"{API}/r2/buckets/files/objects/{quote(evil, safe='')}", content=evil.encode())
        body = {"content_type": "json", "body": json.dumps({evil: [evil, configured]})}
        shop.client.post(f"{ROOT}/queues/later/send", data=body)
    inserts = "; ".join("insert into book values ('" + evil.replace("'", "''") + "')" for evil in EVIL)
    shop.client.post(
        f"{ROOT}/data/d1/books-1", data={"text": f'create table book ("<img src=x onerror=window.ran=9>"); {inserts}'}
    )
    shop.page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    with_variables = 0
    for path in pages(shop):
        page = shop.open(path)
        page.evaluate("document.querySelectorAll('.trouble details').forEach((each) => { each.open = true; })")
        assert page.evaluate("window.ran") is None, path
        assert page.locator("main script, main img, main iframe, [onerror], [onload], [onclick]").count() == 0, path
        assert page.locator("a[href^='javascript:'], form[action^='javascript:']").count() == 0, path
        shown = page.evaluate("document.body.innerText")
        assert not set("\x1b\u202e\u2066\u200f\x07") & set(shown), path
        assert "do-not-show-this" not in page.content(), path
        with_variables += page.locator(".locals dd", has_text="window.ran").count()
    assert with_variables >= len(EVIL)
    complaints = [each for each in shop.complaints if "404" not in each and "400" not in each]
    assert complaints == []


def test_nothing_of_a_local_variable_runs_on_the_error_page(shop: Shop) -> None:
    page = shop.page
    for evil in EVIL:
        answer = shop.client.post("/fails", content=evil.encode(), headers={"accept": "text/html"})
        page.set_content(answer.text)
        page.locator("summary", has_text="Local variables").click()
        assert page.evaluate("window.ran") is None
        assert page.locator("img, svg, iframe, [onerror], [onload]").count() == 0
        assert page.locator(".locals dt").all_text_contents() == ["request", "body", "thing"]
        assert not set("\x1b\u202e\u2066\u200f\x07") & set(page.locator(".locals").inner_text())


def test_a_live_part_is_as_harmless_as_a_whole_page(shop: Shop) -> None:
    page = shop.open("/messages?filter=state:dead")
    expect(page.locator(".state")).to_have_text("live")
    for evil in EVIL[:3]:
        shop.fail(f"fail {evil}")
    expect(page.locator("tbody tr")).to_have_count(3)
    assert page.evaluate("window.ran") is None
    assert shop.complaints == []


def test_what_changes_something_is_refused_from_other_pages(shop: Shop) -> None:
    shop.client.post(f"{ROOT}/queues/later/send", data={"content_type": "text", "body": "kept"})
    for headers in (
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"host": "evil.example"},
    ):
        assert shop.client.post(f"{ROOT}/queues/later/purge", headers=headers).status_code == 403
        assert shop.client.get(f"{ROOT}/queues/later", headers=headers).status_code == 403
    assert shop.client.get(f"{ROOT}/queues/later/purge").status_code == 404
    assert shop.client.post(f"{ROOT}/queues/later/delete", json={"id": "x"}).status_code == 415
    assert shop.waiting("later") == 1


def test_pages_and_downloads_cannot_execute(shop: Shop) -> None:
    shop.client.post(f"{ROOT}/queues/later/send", data={"content_type": "text", "body": EVIL[0]})
    for path in ("/", "/queues/later", "/queues/none", "/static/page.js", "/static/page.css"):
        headers = shop.client.get(ROOT + path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    download = shop.client.get(f"{ROOT}/queues/later/messages.jsonl")
    assert download.headers["content-disposition"] == 'attachment; filename="later.jsonl"'
    assert download.headers["content-type"] == "application/x-ndjson"
    assert json.loads(download.text)["body"] == EVIL[0]
    download = shop.client.get(f"{ROOT}/messages.jsonl?filter=queue:later")
    assert download.headers["content-disposition"] == 'attachment; filename="messages.jsonl"'
    assert download.headers["x-content-type-options"] == "nosniff"
    assert json.loads(download.text)["body"] == EVIL[0]
    for path in ("/static/..%2fpages.py", "/static/page.html", "/static/..%2f..%2fsecret"):
        assert shop.client.get(ROOT + path).status_code == 404


def test_a_form_leads_nowhere_else(shop: Shop) -> None:
    shop.fail()
    for address in ("https://evil.example/", "//evil.example/", f"{ROOT}/../../x?y", "/\\evil.example"):
        answer = shop.client.post(f"{ROOT}/queues/jobs-dlq/redrive", data={"back": address})
        assert answer.headers["location"].startswith(f"{ROOT}/queues/jobs-dlq?said=")


def test_a_page_needs_the_token_where_other_machines_reach_it(shop: Shop, start, tmp_path) -> None:  # type: ignore[no-untyped-def]
    shop.running.end()
    running = start("dev", "-p", "0", "--host", "0.0.0.0", "--no-share", cwd=tmp_path).ready()
    token = running.wait_for(r"REST API token: (\w+)")[1]
    url = running.url.replace("0.0.0.0", "127.0.0.1")
    assert httpx.get(f"{url}{ROOT}/").status_code == 401
    assert httpx.get(f"{url}{ROOT}/?token=wrong").status_code == 401
    page = shop.page
    page.goto(f"{url}{ROOT}/?token={token}")
    assert page.url == f"{url}{ROOT}/"
    expect(page.locator(".state")).to_have_text("live")
    page.goto(f"{url}{ROOT}/queues/later")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#facts .tag")).to_have_text("paused")
    assert page.evaluate("document.cookie") == ""
