"""Open pages are kept up to date, whatever happens to the session, in a real browser."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import expect

from emulator.dashboard.live import PAUSE_SECONDS
from tests.dashboard.conftest import ROOT, Shop
from tests.integration.conftest import Running


def test_the_overview_counts_live(shop: Shop) -> None:
    page = shop.open()
    expect(page.locator(".state")).to_have_text("live")
    shop.fail()
    expect(page.locator(".node.dead .note")).to_have_text("1 dead")
    expect(page.locator(".figure .number").first).to_have_text("1")
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


def test_lists_grow_while_they_are_looked_at(shop: Shop) -> None:
    page, other = shop.open("/logs?filter=event:output"), shop.page.context.new_page()
    other.goto(f"{shop.url}{ROOT}/requests")
    expect(page.locator(".none")).to_be_visible()
    expect(other.locator(".none")).to_be_visible()
    shop.post("one", "/here")
    expect(page.locator(".log .text")).to_contain_text("got one")
    expect(other.locator("tbody")).to_contain_text("POST /here")


def test_a_message_goes_green_while_it_is_looked_at(shop: Shop) -> None:
    shop.client.post(f"{ROOT}/queues/jobs/pause")
    shop.post("one")
    page = shop.open("/messages")
    page.locator("tbody a").first.click()
    expect(page.locator("h1")).to_contain_text("ready")
    shop.client.post(f"{ROOT}/queues/jobs/resume")
    expect(page.locator("h1")).to_contain_text("acked")


def test_the_test_to_copy_says_what_became_of_the_message_while_it_is_looked_at(shop: Shop) -> None:
    shop.client.post(f"{ROOT}/queues/jobs/pause")
    shop.post("fail: late")
    page = shop.open("/messages")
    page.locator("tbody a").first.click()
    page.get_by_text("Copy as a pytest test").click()
    expect(page.locator("#test-text")).to_contain_text("assert story.state == 'acked'")
    shop.client.post(f"{ROOT}/queues/jobs/resume")
    expect(page.locator("#test-text")).to_contain_text("assert story.state == 'dead'")
    expect(page.locator("#test button")).to_be_visible()


def test_local_variables_are_folded_away_until_somebody_wants_them(shop: Shop) -> None:
    shop.fail("fail: out of stock")
    page = shop.open(f"/messages/{shop.dead()[0]['id']}")
    variables = page.locator(".why .locals")
    expect(variables).to_have_count(1)
    expect(variables).to_be_hidden()
    page.locator(".why summary", has_text="Local variables").click()
    expect(variables.locator("dt:has-text('given') + dd")).to_have_text(
        "{'fail: out of stock': ['fail: out of stock', '(secret API_KEY)']}"
    )
    page.evaluate("document.getElementById('why').dataset.old = 'yes'")
    shop.post("something else")
    expect(page.locator("#why[data-old]")).to_have_count(0)
    expect(variables).to_be_visible()
    assert shop.complaints == []


def test_a_worker_that_fails_to_load_says_so_and_what_was_reloaded(shop: Shop, tmp_path: Path) -> None:
    page = shop.open("/workers/shop")
    entry = tmp_path / "entry.py"
    source = entry.read_text()
    entry.write_text("def (:\n")
    expect(page.locator(".failure")).to_contain_text("SyntaxError")
    entry.write_text(source)
    expect(page.locator(".failure")).to_have_count(0)
    expect(page.get_by_role("region", name="Reloads").locator("tbody tr")).to_contain_text(["loaded", "failed"])


def test_an_action_in_one_tab_is_seen_in_both(shop: Shop) -> None:
    shop.send("one")
    page, other = shop.open("/queues/later"), shop.page.context.new_page()
    other.goto(f"{shop.url}{ROOT}/queues/later")
    expect(other.locator(".state")).to_have_text("live")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#facts .tag")).to_have_text("paused")
    expect(other.locator("#facts .tag")).to_have_text("paused")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".none")).to_be_visible()
    expect(other.locator(".none")).to_be_visible()


def test_pages_are_told_of_every_action(shop: Shop) -> None:
    with shop.client.stream("GET", f"{ROOT}/changes") as answer:
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(4)][1] == "event: hello"
        for act in ("pause", "resume"):  # the second while nothing is told, because something just was
            httpx.post(f"{shop.url}{ROOT}/queues/later/{act}")
            assert [next(lines) for _ in range(3)] == ["event: change", "data:", ""]


def test_going_back_shows_a_page_as_it_is_now(shop: Shop) -> None:
    page = shop.open("/queues")
    page.get_by_role("link", name="later").click()
    page.locator("#body").fill("1")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".said")).to_be_visible()
    page.locator("tbody a").first.click()
    expect(page.locator(".why")).to_be_visible()
    page.go_back()
    expect(page.locator("td.body")).to_have_count(1)
    page.go_back()
    page.go_back()
    expect(page.locator("h1")).to_have_text("Queues")
    expect(page.locator("tbody tr", has_text="later").locator(".num").first).to_have_text("1")
    expect(page.locator(".state")).to_have_text("live")
    page.go_forward()
    expect(page.locator("td.body")).to_have_count(1)


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


def test_many_messages_that_wait_are_paged(shop: Shop) -> None:
    shop.send_many(20_000)
    page = shop.open("/queues/later")
    expect(page.locator(".facts .big").first).to_have_text("20,000")
    expect(page.locator(".pages")).to_contain_text("1 to 50 of 20,000")


def test_pages_stay_usable_while_ten_thousand_messages_a_second_go_through(shop: Shop) -> None:
    page = shop.open("/messages")
    expect(page.locator(".state")).to_have_text("live")
    refreshes: list[float] = []
    page.on("request", lambda request: refreshes.append(time.monotonic()) if "/messages" in request.url else None)
    batches = 300
    flood = threading.Thread(target=shop.post, args=(str(batches), "/flood"))
    started = time.monotonic()
    flood.start()
    expect(page.locator("tbody a").first).to_be_visible()
    took = []
    for name in ("Queues", "Messages", "Overview", "Messages"):
        clicked = time.monotonic()
        page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name=name).click()
        expect(page.locator("h1")).to_have_text(name)
        took.append(time.monotonic() - clicked)
    flood.join()
    seconds = time.monotonic() - started
    visits = 2
    assert len(refreshes) - visits <= seconds / PAUSE_SECONDS + 1
    assert sorted(took)[1] < 1, took
    page = shop.open("/queues/flood")
    expect(page.locator(".facts .big").first).to_have_text("0")
    assert shop.complaints == []
