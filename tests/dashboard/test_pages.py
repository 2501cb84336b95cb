"""Every page of the dashboard, and what can be done on it, in a real browser."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.dashboard.conftest import API, CONFIGURATION, ROOT, Shop
from tests.integration.conftest import Running, write_worker
from tests.support.node_tools import NODE_MODULES

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

PAGES = (
    "/",
    "/queues",
    "/queues/jobs",
    "/queues/jobs-dlq?filter=state:dead",
    "/messages",
    "/messages?filter=state:dead",
    "/requests",
    "/logs",
    "/search?q=fail",
    "/workers",
    "/workers/shop",
    "/crons",
    "/data",
    "/data/kv/sessions?key=a",
    "/data/r2/files?key=b",
    "/data/d1/books-1",
    "/data/cache/default",
    "/queues/none",
)


def fill(shop: Shop) -> None:
    """Have something on every page."""
    shop.post("one")
    shop.fail()
    shop.post("", "/fails")
    shop.client.put(f"{API}/storage/kv/namespaces/sessions/values/a", content=b'{"user": "ada"}')
    shop.client.put(f"{API}/r2/buckets/files/objects/b", content=b"text")


def test_the_overview_draws_what_leads_where_and_counts_live(shop: Shop) -> None:
    page = shop.open()
    names = page.locator(".node .name")
    expect(names).to_have_text(["shop", "HTTP", "0 3 * * 1", "jobs", "later", "jobs-dlq", "sessions", "files", "books"])
    expect(page.locator(".edge.dead")).to_have_count(1)
    expect(page.locator(".state")).to_have_text("live")
    shop.fail()
    expect(page.locator(".node.dead .note")).to_have_text("1 dead")
    expect(page.locator(".figure .number").first).to_have_text("1")
    page.locator(".node.dead").click()
    expect(page).to_have_url(f"{shop.url}{ROOT}/queues/jobs-dlq")
    assert shop.complaints == []


def test_the_overview_counts_what_was_before_it_was_opened_and_leads_to_what_failed(shop: Shop) -> None:
    httpx.post(f"{shop.url}/", content="please fail")
    httpx.get(f"{shop.url}/")
    shop.running.wait_for("jobs moved 1 message")
    page = shop.open("/")
    expect(page.locator("#figures .number").first).to_have_text("2")
    rates = page.locator("#picture .rate")
    expect(rates).to_have_text(["2/min", "1/min", "2/min", "1/min"])
    expect(page.locator("#happened li", has_text="jobs moved 1 message")).to_have_count(1)
    page.locator("#failed a", has_text="of jobs, attempt 2").click()
    expect(page.locator(".why")).to_contain_text("It died in queue jobs")


def test_a_message_that_died_says_why_and_is_redriven(shop: Shop) -> None:
    shop.fail("fail: out of stock")
    page = shop.open("/messages?filter=state:dead")
    page.locator("tbody a").first.click()
    expect(page.locator(".why")).to_contain_text("ConnectionError: fail: out of stock")
    expect(page.locator("strong")).to_have_text(["Attempt 1 of 2", "Attempt 2 of 2"])
    expect(page.locator(".source .it").first).to_contain_text("raise ConnectionError")
    page.get_by_role("button", name="Redrive").click()
    expect(page.locator(".said")).to_contain_text("1 message to jobs redriven")
    expect(page.locator("strong")).to_have_count(4)
    page.locator(".what a", has_text="POST /").first.click()
    expect(page.locator("h1")).to_contain_text("POST /")
    assert shop.complaints == []


def test_the_copied_test_reproduces_it(shop: Shop, tmp_path: Path) -> None:
    shop.fail("fail: again")
    page = shop.open(f"/messages/{shop.dead()[0]['id']}")
    page.get_by_text("Copy as a pytest test").click()
    text = page.locator("#test-text").text_content()
    assert text is not None
    (tmp_path / "test_copied.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_copied.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_a_message_is_edited_and_sent_again(shop: Shop) -> None:
    shop.fail()
    page = shop.open(f"/messages/{shop.dead()[0]['id']}")
    page.get_by_text("Edit and send again").click()
    page.locator("#body").fill("better")
    page.locator("select").select_option("later")
    page.get_by_role("button", name="Send").click()
    expect(page).to_have_url(f"{shop.url}{ROOT}/queues/later")
    expect(page.locator(".said")).to_have_text("1 message sent to later")
    expect(page.locator("td.body")).to_contain_text("better")


def test_a_queue_is_paused_resumed_sent_to_and_purged(shop: Shop) -> None:
    page = shop.open("/queues/jobs")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#facts .tag")).to_have_text("paused")
    page.locator("#body").fill('{"type": "welcome", "n": 1}')
    page.get_by_role("button", name="Send").click()
    expect(page.locator("td.body")).to_contain_text('{"type":"welcome","n":1}')
    page.locator("#body").fill("{not json")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("main")).to_contain_text("The body is not json")
    page.go_back()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".said")).to_have_text("1 message deleted")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_chosen_messages_are_deleted_and_a_choice_survives_what_happens(shop: Shop) -> None:
    for number in range(3):
        shop.client.post(f"{ROOT}/queues/later/send", data={"content_type": "text", "body": f"m{number}"})
    page = shop.open("/queues/later")
    page.locator("input[name=id]").nth(1).check()
    shop.client.post(f"{ROOT}/queues/later/send", data={"content_type": "text", "body": "m3"})
    expect(page.locator("input[name=id]")).to_have_count(4)
    expect(page.locator("input[name=id]:checked")).to_have_count(1)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("td.body")).to_have_text(["text m0", "text m2", "text m3"])


def test_messages_are_paged_and_downloaded(shop: Shop) -> None:
    for _ in range(2):
        messages = [{"body": f"m{number}", "content_type": "text"} for number in range(60)]
        queue = shop.client.get(f"{API}/queues").json()["result"]
        [identifier] = [each["queue_id"] for each in queue if each["queue_name"] == "later"]
        shop.client.post(f"{API}/queues/{identifier}/messages/batch", json={"messages": messages})
    page = shop.open("/queues/later")
    expect(page.locator("input[name=id]")).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".pages")).to_contain_text("51 to 100 of 120")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("input[name=id]")).to_have_count(20)
    page.go_back()
    expect(page.locator(".pages")).to_contain_text("51 to 100 of 120")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download").click()
    assert downloading.value.suggested_filename == "later.jsonl"
    assert len(Path(downloading.value.path()).read_text().splitlines()) == 120


def test_a_filter_chooses_what_is_redriven(shop: Shop) -> None:
    shop.fail("fail a")
    shop.fail("fail b")
    page = shop.open("/messages")
    page.locator("#filter").fill('state:dead "fail b"')
    page.locator("#filter").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Redrive").click()
    expect(page.locator(".said")).to_have_text("1 message redriven")
    page.locator("#filter").fill('state:"')
    page.locator("#filter").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("cannot be read")


def test_a_request_is_shown_and_replayed(shop: Shop) -> None:
    secret = {"authorization": "Bearer ada", "x-note": "hello"}
    httpx.post(f"{shop.url}/first?x=1", content="one\r\nmore", headers=secret)
    page = shop.open("/requests")
    page.locator("tbody a").first.click()
    expect(page.locator(".fall")).to_contain_text("1 message to jobs")
    page.get_by_text("headers and the body").click()
    expect(page.locator("#headers tr", has_text="x-note")).to_have_text("x-notehello")
    expect(page.locator("#headers tr", has_text="authorization")).to_have_text("authorization••••••")
    expect(page.locator("#headers pre")).to_contain_text("one")
    page.get_by_text("Copy as curl").click()
    curl = page.locator("#curl-text")
    expect(curl).to_contain_text(f"curl -X POST '{shop.url}/first?x=1'")
    expect(curl).to_contain_text('-H "authorization: $AUTHORIZATION"')
    assert "Bearer ada" not in page.content()
    page.get_by_text("Replay", exact=True).click()
    page.locator("input[name=path]").fill("/second")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".said")).to_have_text("POST /second was answered with 200")
    expect(page.locator("h1")).to_contain_text("POST /second")
    page.get_by_text("headers and the body").click()
    expect(page.locator("#headers tr", has_text="x-note")).to_have_text("x-notehello")
    page.locator(".fall a code").first.click()
    expect(page.locator("pre[aria-label=Body]")).to_contain_text("one")


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


def test_the_log_is_live_filtered_and_linked(shop: Shop) -> None:
    page = shop.open("/logs?filter=event:output")
    expect(page.locator(".none")).to_be_visible()
    shop.post("one")
    expect(page.locator(".log .text")).to_contain_text("got one")
    page = shop.open("/logs")
    page.get_by_role("link", name="open").first.click()
    expect(page.locator("h1")).to_contain_text("POST /")


def test_keys_lead_to_the_search(shop: Shop) -> None:
    shop.fail("fail: needle")
    page = shop.open()
    page.keyboard.press("/")
    page.keyboard.type("needle")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("needle")
    expect(page.locator("tbody tr").first).to_contain_text("fail: needle")
    page.keyboard.press("Control+k")
    page.keyboard.type(shop.dead()[0]["id"][:10])
    page.keyboard.press("Enter")
    expect(page.locator(".why")).to_contain_text("It died")


def test_a_worker_shows_its_bindings_without_secrets_and_what_fails_to_load(shop: Shop, tmp_path: Path) -> None:
    page = shop.open("/workers/shop")
    expect(page.locator("main")).to_contain_text("API_KEY")
    expect(page.locator("main")).to_contain_text("(secret)")
    assert "do-not-show-this" not in page.content()
    (tmp_path / "entry.py").write_text("def (:\n")
    expect(page.locator(".failure")).to_contain_text("SyntaxError")


def test_a_cron_is_run(shop: Shop) -> None:
    page = shop.open("/crons")
    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".said")).to_have_text("0 3 * * 1 has run")


def test_data_is_shown_and_sql_is_run(shop: Shop) -> None:
    fill(shop)
    page = shop.open("/data/kv/sessions")
    page.get_by_role("link", name="a", exact=True).click()
    expect(page.locator(".content pre")).to_have_text('{"user": "ada"}')
    page = shop.open("/data/r2/files?key=b")
    expect(page.locator(".content pre")).to_have_text("text")
    page = shop.open("/data/d1/books-1")
    page.locator("#text").fill("create table book (title); insert into book values ('Emma')")
    page.locator("#text").press("Control+Enter")
    expect(page.locator("main")).to_contain_text("1 row changed")
    page.locator("#text").fill("select * from none")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("no such table")
    page = shop.open("/data/d1/books-1")
    page.get_by_role("link", name="book", exact=True).click()
    expect(page.locator("tbody")).to_have_text("Emma")


def test_a_session_that_goes_away_and_comes_back(shop: Shop, start: Callable[..., Running], tmp_path: Path) -> None:
    page = shop.open("/queues")
    expect(page.locator(".state")).to_have_text("live")
    port = shop.url.rpartition(":")[2]
    assert shop.running.end(signal.SIGINT) == 0  # the open page does not hold it up
    expect(page.locator(".state")).to_have_text("away")
    again = start("dev", "-p", port, "--no-share", cwd=tmp_path).ready()
    expect(page.locator(".state")).to_have_text("live")
    httpx.post(f"{again.url}/", content=b"fail")
    expect(page.locator("tbody tr", has_text="jobs-dlq")).to_contain_text("1")


def test_two_tabs_show_the_same_and_many_messages_are_a_few_refreshes(shop: Shop) -> None:
    page, other = shop.open("/queues/later"), shop.page.context.new_page()
    other.goto(f"{shop.url}{ROOT}/queues")
    refreshes: list[str] = []
    page.on("request", lambda request: refreshes.append(request.url))
    [identifier] = [
        each["queue_id"] for each in shop.client.get(f"{API}/queues").json()["result"] if each["queue_name"] == "later"
    ]
    messages = [{"body": "m", "content_type": "text"}] * 100
    for _ in range(200):
        shop.client.post(f"{API}/queues/{identifier}/messages/batch", json={"messages": messages}).raise_for_status()
    expect(page.locator(".facts .big").first).to_have_text("20,000")
    expect(other.locator("tbody tr", has_text="later")).to_contain_text("20,000")
    assert len(refreshes) < 100
    page.reload()
    expect(page.locator(".pages")).to_contain_text("1 to 50 of 20,000")


def test_without_a_record_the_pages_about_the_past_are_not_there(
    dev: Callable[..., Running],
    page: Page,
    tmp_path: Path,
) -> None:
    (tmp_path / "entry.py").write_text(
        "from workers import WorkerEntrypoint\n\nclass Default(WorkerEntrypoint):\n    pass\n"
    )
    (tmp_path / "wrangler.jsonc").write_text(CONFIGURATION)
    url = dev(tmp_path, "--no-share", "--no-record").url
    page.goto(f"{url}{ROOT}/")
    expect(page.locator("nav a")).to_have_text(["Overview", "Queues", "Workers", "Crons", "Data"])
    page.goto(f"{url}{ROOT}/messages/abc")
    expect(page.locator("main")).to_contain_text("There is no such page")


def test_the_theme_is_kept(shop: Shop) -> None:
    page = shop.open()
    page.get_by_role("button", name="Dark").click()
    page = shop.open("/queues")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(17, 19, 24)"


@pytest.mark.parametrize("width", [1280, 380])
def test_every_page_fits_and_has_no_serious_barrier(shop: Shop, width: int) -> None:
    fill(shop)
    axe = (NODE_MODULES / "axe-core/axe.min.js").read_text()
    identifier = shop.dead()[0]["id"]
    request = shop.client.get(f"{ROOT}/api/requests").json()["requests"][0]["id"]
    shop.page.set_viewport_size({"width": width, "height": 800})
    for theme in ("light", "dark"):
        shop.page.emulate_media(color_scheme=theme)
        for path in (*PAGES, f"/messages/{identifier}", f"/requests/{request}"):
            page = shop.open(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            page.evaluate(axe)
            found = page.evaluate("axe.run()")["violations"]
            serious = [each for each in found if each["impact"] in {"serious", "critical"}]
            assert [(path, each["id"], each["nodes"][0]["html"]) for each in serious] == []


def send_later(shop: Shop, *bodies: str, delay: int = 0) -> None:
    for body in bodies:
        form = {"content_type": "json", "body": body, "delay": str(delay)}
        assert shop.client.post(f"{ROOT}/queues/later/send", data=form).status_code == 303


def test_a_filter_of_a_queue_chooses_and_the_back_button_keeps_it(shop: Shop) -> None:
    send_later(shop, '{"type": "mail"}', '{"type": "sms"}')
    send_later(shop, '{"type": "mail", "n": 3}', delay=600)
    page = shop.open("/queues/later")
    expect(page.locator(".tabs a")).to_have_text(
        ["All 3", "Ready 2", "Delayed 1", "Retrying 0", "In flight 0", "Dead 0"]
    )
    page.locator("#filter").fill("body.type=mail")
    page.locator("#filter").press("Enter")
    expect(page.locator("#messages tbody tr")).to_have_count(2)
    page.locator("#messages tbody a").first.click()
    expect(page.locator(".why")).to_contain_text("It is ready in queue later")
    page.go_back()
    expect(page.locator("#filter")).to_have_value("body.type=mail")
    expect(page.locator("#messages tbody tr")).to_have_count(2)
    page.locator("#messages input[name=id]").first.check()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("group", name="Chosen messages").get_by_role("button", name="Delete").click()
    expect(page.locator(".said")).to_have_text("1 message deleted")
    expect(page.locator("#filter")).to_have_value("body.type=mail")
    expect(page.locator("#messages tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Delayed 1").click()
    expect(page.locator(".tabs [aria-current]")).to_have_text("Delayed 1")
    expect(page.locator("#messages .tag")).to_contain_text("due in")
    page.locator("#filter").fill('type:"')
    page.locator("#filter").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("cannot be read")
    expect(page.get_by_role("group", name="All that match")).to_have_count(0)
    assert shop.complaints == []


def test_all_messages_that_a_filter_of_a_queue_means_are_retried_now_and_deleted(shop: Shop) -> None:
    send_later(shop, '{"type": "mail"}', '{"type": "sms"}', delay=600)
    page = shop.open("/queues/later?filter=body.type=mail")
    matching = page.get_by_role("group", name="All that match")
    matching.get_by_role("button", name="Retry now").click()
    expect(page.locator(".said")).to_have_text("1 message made ready")
    expect(page.locator("#filter")).to_have_value("body.type=mail")
    expect(page.locator("#messages .tag")).to_have_text("ready")
    expect(page.locator(".tabs a").nth(2)).to_have_text("Delayed 1")
    page.on("dialog", lambda dialog: dialog.accept())
    matching.get_by_role("button", name="Delete").click()
    expect(page.locator(".said")).to_have_text("1 message deleted")
    expect(page.locator("#messages .none")).to_have_text("No message is like that.")
    page.get_by_role("button", name="Retry all now").click()
    expect(page.locator(".said")).to_have_text("1 message made ready")
    expect(page.get_by_role("button", name="Retry all now")).to_have_count(0)
    without = {"chosen": "yes", "matching": "yes", "filter": " "}
    assert shop.client.post(f"{ROOT}/queues/later/delete", data=without).status_code == 400
    assert shop.client.post(f"{ROOT}/queues/later/delete", data={"chosen": "yes"}).status_code == 400
    assert shop.client.post(f"{ROOT}/messages/purge", data={"filter": "x"}).status_code == 404
    assert shop.waiting("later") == 1


def test_a_retry_is_made_now_on_the_page_of_its_message_and_by_a_filter_of_messages(shop: Shop) -> None:
    send_later(shop, "1", "2", "3", delay=600)
    page = shop.open("/messages?filter=state:delayed")
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    page.locator("#rows tbody a").first.click()
    page.get_by_role("button", name="Deliver now").click()
    expect(page.locator(".said")).to_have_text("1 message made ready")
    expect(page.locator("#what .tag")).to_have_text("ready")
    page = shop.open("/messages?filter=state:delayed")
    page.get_by_role("button", name="Retry now").click()
    expect(page.locator(".said")).to_have_text("2 messages made ready")
    expect(page.locator("#rows .none")).to_be_visible()
    expect(page.locator(".tabs a").nth(1)).to_have_text("Ready 3")


def test_messages_that_a_filter_means_and_chosen_ones_are_downloaded(shop: Shop) -> None:
    send_later(shop, '{"type": "mail"}', '{"type": "sms"}', '{"type": "call"}')
    shop.fail()

    def downloaded(link: Locator) -> list[dict[str, Any]]:
        with shop.page.expect_download() as downloading:
            link.click()
        return [json.loads(line) for line in Path(downloading.value.path()).read_text().splitlines()]

    page = shop.open("/queues/later?filter=body.type!=mail")
    lines = downloaded(page.get_by_role("group", name="All that match").get_by_role("link", name="Download"))
    assert [(each["state"], each["body"]["type"]) for each in lines] == [("ready", "sms"), ("ready", "call")]
    page.locator("#messages input[name=id]").nth(1).check()
    lines = downloaded(page.get_by_role("group", name="Chosen messages").get_by_role("button", name="Download"))
    assert [each["body"]["type"] for each in lines] == ["call"]
    page = shop.open("/messages?filter=state:dead")
    (dead,) = downloaded(page.get_by_role("link", name="Download"))
    assert (dead["queue"], dead["attempts"], dead["dead_letter"]["queue"]) == ("jobs-dlq", 2, "jobs")
    assert [each["error"] for each in dead["failures"]] == ["ConnectionError: fail"] * 2
    assert dead.keys() == lines[0].keys()
    assert shop.client.get(f"{ROOT}/messages.jsonl?filter=a%22").status_code == 400
    assert shop.client.get(f"{ROOT}/queues/later/messages.jsonl?chosen=yes").status_code == 400


def test_a_new_message_begins_from_a_body_that_was_sent(shop: Shop, browser: Browser) -> None:
    send_later(shop, '{"n": 1}', '{"n": "</option>"}')
    shop.client.post(f"{ROOT}/queues/later/send", data={"content_type": "text", "body": "line 1\nline 2"})
    page = shop.open("/queues/later")
    expect(page.locator("#body")).to_have_value("line 1\nline 2")
    begin = page.get_by_label("Begin from")
    expect(begin.locator("option")).to_have_text(["text line 1 line 2", 'json {"n":"</option>"}', 'json {"n":1}'])
    begin.select_option(index=1)
    expect(page.locator("#body")).to_have_value('{\n  "n": "</option>"\n}')
    expect(page.locator("select[name=content_type]")).to_have_value("json")
    expect(page.get_by_role("button", name="Begin")).to_be_hidden()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".said")).to_have_text("1 message sent to later")

    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(f"{shop.url}{ROOT}/queues/later?filter=state:ready")
    plain.get_by_label("Begin from").select_option(index=2)
    plain.get_by_role("button", name="Begin").click()
    expect(plain.locator("#body")).to_have_value('{\n  "n": 1\n}')
    expect(plain.locator("#filter")).to_have_value("state:ready")
    plain.context.close()
    assert shop.complaints == []


def test_what_a_client_has_pulled_is_in_flight_with_the_end_of_its_lease(shop: Shop) -> None:
    send_later(shop, "1", "2")
    [identifier] = [
        each["queue_id"] for each in shop.client.get(f"{API}/queues").json()["result"] if each["queue_name"] == "later"
    ]
    consumer = {"type": "http_pull", "settings": {"visibility_timeout_ms": 600_000}}
    shop.client.post(f"{API}/queues/{identifier}/consumers", json=consumer).raise_for_status()
    pull = {"batch_size": 1, "visibility_timeout_ms": 600_000}
    shop.client.post(f"{API}/queues/{identifier}/messages/pull", json=pull).raise_for_status()
    page = shop.open("/queues")
    page.locator("tbody tr", has_text="later").get_by_role("link", name="1").nth(1).click()
    expect(page.locator(".tabs [aria-current]")).to_have_text("In flight 1")
    expect(page.locator("#messages .tag")).to_contain_text("leased, ends in")
    page.locator("#messages tbody a").click()
    expect(page.locator("#what .tag")).to_have_text("in flight")
    expect(page.locator(".why")).to_contain_text("A client has pulled it, as attempt 1 of 4, and has until")
    page = shop.open("/messages?filter=attempts=1")
    expect(page.locator("#rows td").first).to_contain_text("leased, ends in")
