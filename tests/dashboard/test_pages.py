"""What every page of the dashboard shows, in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import ROOT, Shop, write_shop
from tests.integration.conftest import Running, write_worker
from tests.support.node_tools import NODE_MODULES

NOW = (
    "/",
    "/queues",
    "/queues/jobs",
    "/queues/jobs-dlq",
    "/queues/none",
    "/workers",
    "/workers/shop",
    "/crons",
    "/data",
    "/data/kv/sessions?key=a",
    "/data/r2/files?key=b",
    "/data/d1/books-1",
    "/data/d1/books-1?table=book",
    "/data/analytics/visits",
    "/data/cache/default",
    "/data/email/outbox?id=1",
)
PAST = (
    "/messages",
    "/messages?filter=state:dead",
    '/messages?filter=state:"',
    "/messages/{message}",
    "/requests",
    "/requests/{request}",
    "/logs",
    "/search?q=fail",
)


def found(shop: Shop, path: str) -> str:
    """A path with the ids of the session in it."""
    request = next(
        each["id"] for each in shop.client.get(f"{ROOT}/api/requests").json()["requests"] if each["path"] == "/fails"
    )
    return path.format(message=shop.dead()[0]["id"], request=request)


def barriers(page: Page, **options: object) -> list[tuple[str, str]]:
    """The serious ones that axe finds."""
    options |= {"resultTypes": ["violations"], "preload": False, "iframes": False}
    violations = page.evaluate("options => axe.run(options)", options)["violations"]
    serious = [each for each in violations if each["impact"] in {"serious", "critical"}]
    return [(each["id"], each["nodes"][0]["html"]) for each in serious]


def look(page: Page) -> None:
    """Check a page, wide and narrow, in both themes, which differ in their colours alone."""
    page.evaluate((NODE_MODULES / "axe-core/axe.min.js").read_text())
    for width in (1280, 380):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (page.url, width)
        assert barriers(page) == [], (page.url, width)
    page.emulate_media(color_scheme="dark")
    assert barriers(page, runOnly=["color-contrast"]) == [], (page.url, "dark")
    page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("paths", [NOW, PAST], ids=["now", "past"])
def test_every_page_fits_and_has_no_serious_barrier(shown: Shop, paths: tuple[str, ...]) -> None:
    for path in paths:
        look(shown.open(found(shown, path)))
    assert [each for each in shown.complaints if "404" not in each] == []


def test_long_paths_and_bodies_fit_on_narrow_screens(shown: Shop) -> None:
    long = "/fails/" + "long-segment/" * 40
    shown.post("fail " + "somebody@example.com," * 40, long)
    page = shown.open("/messages?filter=state:dead error~somebody")
    page.locator("#rows th a").first.wait_for()
    [dead] = shown.client.get(f"{ROOT}/api/messages", params={"filter": "state:dead error~somebody"}).json()["messages"]
    [asked] = shown.client.get(f"{ROOT}/api/requests", params={"filter": "path~long-segment"}).json()["requests"]
    page.set_viewport_size({"width": 380, "height": 800})
    for path in (f"/messages/{dead['id']}", f"/requests/{asked['id']}", "/queues/jobs-dlq", "/messages", "/logs"):
        shown.open(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    shown.open(f"/requests/{asked['id']}")
    assert page.locator("h1").get_attribute("title") == f"POST {long}"


def test_what_an_action_shows_fits_and_has_no_serious_barrier(shown: Shop) -> None:
    page = shown.open(f"/messages/{shown.dead()[0]['id']}")
    page.get_by_role("button", name="Rehearse").click()
    expect(page.locator("h1")).to_contain_text("Rehearsal")
    look(page)
    page = shown.open("/data/d1/books-1")
    page.locator("#text").fill("select * from none")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page)


def test_each_page_is_reached_from_the_navigation(shown: Shop) -> None:
    page = shown.open()
    names = ["Overview", "Queues", "Messages", "Requests", "Logs", "Workers", "Crons", "Data"]
    expect(page.locator("nav[aria-label=Pages] a")).to_have_text(names)
    for name in reversed(names):
        page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name=name).click()
        expect(page.locator("h1")).to_have_text(name)
        expect(page.locator("nav [aria-current=page]")).to_have_text(name)


def test_the_overview_draws_what_leads_where(shown: Shop) -> None:
    page = shown.open()
    crons = ["0 3 * * 1", "0 4 * * 1"]
    queues = ["jobs", "later", "flood", "jobs-dlq"]
    stores = ["sessions", "files", "books", "visits", "outbox"]
    texts = page.locator(".node .name").all_text_contents()
    assert {"shop", "HTTP", *crons, *queues, *stores} == set(texts)
    expect(page.locator(".edge.dead")).to_have_count(1)
    page.locator(".node.dead").click()
    expect(page).to_have_url(f"{shown.url}{ROOT}/queues/jobs-dlq")


def test_a_message_that_died_says_why_with_the_line_of_code(shown: Shop) -> None:
    page = shown.open("/messages?filter=state:dead")
    page.locator("tbody a").first.click()
    expect(page.locator(".why")).to_contain_text("ConnectionError: fail")
    expect(page.locator("strong")).to_have_text(["Attempt 1 of 2", "Attempt 2 of 2"])
    expect(page.locator(".source .it").first).to_contain_text("raise ConnectionError")
    page.locator(".what a", has_text="POST /").first.click()
    expect(page.locator("h1")).to_contain_text("POST /")


def test_a_request_is_shown_with_what_it_did(shown: Shop) -> None:
    page = shown.open(found(shown, "/requests/{request}"))
    expect(page.locator("h1")).to_contain_text("POST /fails")
    expect(page.locator(".why")).to_contain_text("ValueError")
    page = shown.open("/requests?filter=path:/fill")
    page.locator("tbody a").first.click()
    for text in ("kv SESSIONS put a", "r2 FILES put b", "email MAIL send Your order"):
        expect(page.locator(".fall")).to_contain_text(text)


def test_a_request_that_failed_shows_its_local_variables(shop: Shop) -> None:
    assert shop.post("a body", "/fails") == 500
    page = shop.open("/requests")
    page.locator("tbody a", has_text="/fails").click()
    page.locator("summary", has_text="Local variables").click()
    expect(page.locator(".locals dt:has-text('body') + dd")).to_have_text("'a body'")


def test_a_request_that_is_copied_as_curl_is_the_same_again(shown: Shop) -> None:
    page = shown.open("/requests?filter=path~/first")
    expect(page.locator(".none")).to_be_visible()
    shown.client.get("/first?x=1&y=%27")
    page.locator("tbody a").first.click()
    page.get_by_text("Copy as curl").click()
    command = page.locator("#curl-text").text_content()
    assert command is not None
    assert command.startswith(f"curl '{shown.url}/first?x=1&y=")
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here to run it with")
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert ran.stdout == "ok"
    page = shown.open("/requests?filter=path~/first")
    expect(page.locator("tbody a")).to_have_count(2)
    assert len(set(page.locator("tbody a").all_inner_texts())) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_message_that_was_forwarded_leads_from_session_to_session(
    dev: Callable[..., Running], page: Page, tmp_path: Path, host: str
) -> None:
    entry = """
        from workers import Response, WorkerEntrypoint

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                await self.env.MAILS.send("hello")
                return Response("sent")

            async def queue(self, batch, env, ctx):
                print("got", batch.messages[0].body)
    """
    consumers = [{"queue": "mails", "max_batch_timeout": 0}]
    write_worker(tmp_path / "mail", entry, name="mail", queues={"consumers": consumers})
    producers = [{"binding": "MAILS", "queue": "mails"}]
    write_worker(tmp_path / "shop", entry, name="shop", queues={"producers": producers})
    mail, shop = dev(tmp_path / "mail", "--share", "both"), dev(tmp_path / "shop", "--share", "both")
    httpx.get(f"{shop.url}/signup")
    mail.wait_for("QUEUE mails 1/1 acked")
    [message] = httpx.get(f"{mail.url}{ROOT}/api/messages").json()["messages"]

    page.goto(f"{mail.url.replace('127.0.0.1', host)}{ROOT}/messages/{message['id']}")
    page.get_by_text(f"What happened to it in the session at {shop.url}").click()
    expect(page.locator("#why")).to_contain_text(f"to worker mail of the session at {mail.url}")
    page.get_by_text(f"What happened to it in the session at {mail.url}").click()
    page.get_by_role("link", name="From another session: worker shop, in GET /signup").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("GET /signup")
    assert page.url.startswith(f"{shop.url.replace('127.0.0.1', host)}{ROOT}/requests/")


@pytest.mark.parametrize("path", ["/data/kv/sessions?key=a", "/data/d1/books-1?table=book", "/queues/jobs", "/"])
def test_the_field_of_the_search_is_empty_until_something_is_searched(shown: Shop, path: str) -> None:
    expect(shown.open(path).locator("#q")).to_have_value("")


def test_the_log_is_filtered_and_linked(shown: Shop) -> None:
    page = shown.open("/logs?filter=event:output one")
    expect(page.locator(".log .text")).to_have_text("[shop QUEUE jobs] got one")
    page = shown.open("/logs?filter=event:request path:/fails")
    page.get_by_role("link", name="open").first.click()
    expect(page.locator("h1")).to_contain_text("POST /fails")


def test_a_worker_shows_its_bindings_without_secrets(shown: Shop) -> None:
    page = shown.open("/workers")
    page.locator("tbody a").click()
    expect(page.locator("main")).to_contain_text("API_KEY")
    expect(page.locator("main")).to_contain_text("(secret)")
    expect(page.locator("main")).to_contain_text("wrangler.jsonc:")
    assert "do-not-show-this" not in page.content()


def test_crons_say_when_they_run_next(shown: Shop) -> None:
    page = shown.open("/crons")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first.locator("time")).to_have_count(3)
    expect(page.locator("main")).to_contain_text("They do not run by themselves in this session.")


def test_keys_lead_to_the_search(shown: Shop) -> None:
    page = shown.open()
    page.keyboard.press("/")
    page.keyboard.type("fail")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("fail")
    expect(page.locator("tbody tr").first).to_contain_text("fail")
    expect(page.locator(".state")).to_have_text("live")  # its script runs, and takes the keys
    page.keyboard.press("Control+k")
    page.keyboard.type(shown.dead()[0]["id"][:10])
    page.keyboard.press("Enter")
    expect(page.locator(".why")).to_contain_text("It died")
    expect(page.locator(".state")).to_have_text("live")
    page.keyboard.press("/")
    page.keyboard.type("dlq")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="jobs-dlq").first.click()
    expect(page.locator("h1")).to_have_text("jobs-dlq")


def test_the_theme_is_kept(shown: Shop) -> None:
    page = shown.open()
    page.get_by_role("button", name="Dark").click()
    page = shown.open("/queues")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(17, 19, 24)"


def test_each_kind_of_store_shows_what_it_keeps(shown: Shop) -> None:
    page = shown.open("/data")
    expect(page.locator("h2")).to_have_text(["KV", "R2", "D1", "Cache", "E-mail", "Analytics Engine"])
    page.get_by_role("link", name="sessions").click()
    page.get_by_role("link", name="a", exact=True).click()
    expect(page.locator(".content pre")).to_have_text('{"user": "ada"}')
    page.locator("input[name=prefix]").fill("b")
    page.get_by_role("button", name="List").click()
    expect(page.locator(".none")).to_have_text("There is nothing that begins so.")
    page = shown.open("/data/r2/files")
    page.get_by_role("link", name="b", exact=True).click()
    expect(page.locator(".content pre")).to_have_text("text")
    page = shown.open("/data/d1/books-1")
    page.get_by_role("link", name="book", exact=True).click()
    expect(page.locator("tbody")).to_have_text("Emma")
    page = shown.open("/data/cache/default")
    expect(page.locator("tbody")).to_contain_text("http://shop.test/page")
    page = shown.open("/data/email/outbox")
    page.get_by_role("link", name="Your order").click()
    expect(page.locator(".content pre")).to_contain_text("On its way.")
    expect(page.locator("tbody tr")).to_contain_text(["ada@example.com"])


def test_points_of_analytics_are_shown_and_asked_for_in_sql(shown: Shop) -> None:
    page = shown.open("/data/analytics/visits")
    expect(page.locator("tbody tr")).to_contain_text(["London"])
    expect(page.locator("tbody tr")).to_contain_text(["21.5"])
    page.locator("#text").fill("SELECT blob1 AS city, sum(double1) AS warmth FROM visits GROUP BY city")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("thead")).to_have_text("citywarmth")
    expect(page.locator("tbody")).to_have_text("London21.5")
    page.locator("#text").fill("SELECT * FROM none")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("no such table: none")
    page.locator("#text").fill("DROP TABLE points")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("a query is SELECT")


def test_without_a_record_the_pages_about_the_past_are_not_there(
    dev: Callable[..., Running],
    page: Page,
    tmp_path: Path,
) -> None:
    write_shop(tmp_path)
    url = dev(tmp_path, "--no-share", "--no-record").url
    page.goto(f"{url}{ROOT}/")
    expect(page.locator("nav a")).to_have_text(["Overview", "Queues", "Workers", "Crons", "Data"])
    page.goto(f"{url}{ROOT}/queues/jobs")
    expect(page.locator(".state")).to_have_text("live")
    expect(page.locator("#filter")).to_have_attribute("list", "fields")  # nothing is known that could complete it
    page.goto(f"{url}{ROOT}/messages/abc")
    expect(page.locator("main")).to_contain_text("There is no such page")
