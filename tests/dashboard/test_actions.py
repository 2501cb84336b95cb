"""What can be done on the pages of the dashboard, in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Error, Page, expect

from tests.dashboard.conftest import ROOT, Shop


def accept(page: Page) -> None:
    """Say yes to whatever is asked."""
    page.on("dialog", lambda dialog: dialog.accept())


def test_a_message_that_died_is_redriven(shop: Shop) -> None:
    shop.fail("fail: out of stock")
    page = shop.open(f"/messages/{shop.dead()[0]['id']}")
    expect(page.locator(".why")).to_contain_text("ConnectionError: fail: out of stock")
    page.get_by_role("button", name="Redrive").click()
    expect(page.locator(".said")).to_contain_text("1 message to jobs redriven")
    expect(page.locator("strong")).to_have_count(4)
    assert shop.complaints == []


def test_the_test_that_is_copied_reproduces_it(shop: Shop, tmp_path: Path) -> None:
    shop.fail("fail: again")
    page = shop.open(f"/messages/{shop.dead()[0]['id']}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_text("Copy as a pytest test").click()
    page.locator("#test").get_by_role("button", name="Copy").click()
    expect(page.locator("#test button")).to_have_text("Copied")
    (tmp_path / "test_copied.py").write_text(page.evaluate("navigator.clipboard.readText()"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_copied.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_a_message_is_edited_and_sent_again(shop: Shop) -> None:
    shop.fail()
    page = shop.open(f"/messages/{shop.dead()[0]['id']}")
    page.get_by_text("Edit and send again").click()
    page.locator("#again textarea").fill("better")
    page.locator("#again select[name=queue]").select_option("later")
    page.locator("#again").get_by_role("button", name="Send").click()
    expect(page).to_have_url(f"{shop.url}{ROOT}/queues/later")
    expect(page.locator(".said")).to_have_text("1 message sent to later")
    expect(page.locator("td.body")).to_contain_text("better")


def test_a_message_is_deleted_on_its_page(shop: Shop) -> None:
    shop.send("gone soon", "stays")
    page = shop.open("/queues/later")
    page.locator("tbody a").first.click()
    accept(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".said")).to_have_text("1 message deleted")
    expect(page.locator("td.body")).to_have_text([re.compile("stays")])


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
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Purge").click()
    expect(page.locator("td.body")).to_have_count(1)
    assert shop.waiting("jobs") == 1
    accept(page)
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".said")).to_have_text("1 message deleted")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert shop.complaints == ["Failed to load resource: the server responded with a status of 400 (Bad Request)"]


def test_a_message_is_sent_with_a_delay_and_as_text_or_bytes(shop: Shop) -> None:
    page = shop.open("/queues/later")
    page.locator("#body").fill("plain <b>text</b>")
    page.locator("select[name=content_type]").select_option("text")
    page.locator("input[name=delay]").fill("600")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("tbody tr")).to_contain_text(["plain <b>text</b>"])
    expect(page.locator("tbody tr .tag")).to_contain_text(["due"])
    page.locator("#body").fill("00 ff")
    page.locator("select[name=content_type]").select_option("bytes")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody")).to_contain_text("00 ff")
    refused = shop.client.post(f"{ROOT}/queues/later/send", data={"body": "1", "delay": "soon"})
    assert refused.status_code == 400
    assert "whole number of seconds" in refused.text


def test_chosen_messages_are_deleted_and_a_choice_survives_what_happens(shop: Shop) -> None:
    shop.send("m0", "m1", "m2")
    page = shop.open("/queues/later")
    page.locator("input[name=id]").nth(1).check()
    shop.send("m3")
    expect(page.locator("input[name=id]")).to_have_count(4)
    expect(page.locator("input[name=id]:checked")).to_have_count(1)
    accept(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("td.body")).to_have_text(["text m0", "text m2", "text m3"])


def test_chosen_messages_are_redriven_from_a_dead_letter_queue(shop: Shop) -> None:
    for body in ("fail a", "fail b", "fail c"):
        shop.fail(body)
    shop.client.post(f"{ROOT}/queues/jobs/pause")
    page = shop.open("/queues/jobs-dlq")
    page.locator("input[name=id]").first.check()
    page.get_by_role("button", name="Redrive", exact=True).click()
    expect(page.locator(".said")).to_have_text("1 message to jobs redriven")
    expect(page.locator("td.body")).to_have_count(2)
    page.get_by_role("button", name="Redrive all to jobs").click()
    expect(page.locator(".said")).to_have_text("2 messages to jobs redriven")
    assert shop.waiting("jobs") == 3


def test_messages_are_paged_and_downloaded(shop: Shop) -> None:
    shop.send_many(120)
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


def test_a_filter_chooses_what_is_redriven_and_deleted(shop: Shop) -> None:
    shop.fail("fail a")
    shop.fail("fail b")
    page = shop.open("/messages")
    page.locator("#filter").fill('state:dead "fail b"')
    page.locator("#filter").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    accept(page)
    page.get_by_role("button", name="Redrive").click()
    expect(page.locator(".said")).to_have_text("1 message redriven")
    page.locator("#filter").fill('state:dead "fail a"')
    page.locator("#filter").press("Enter")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".said")).to_have_text("1 message deleted")
    page.locator("#filter").fill('state:"')
    page.locator("#filter").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("cannot be read")
    assert all("fail a" not in str(each) for each in shop.dead())


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


def test_a_cron_is_run(shop: Shop) -> None:
    page = shop.open("/crons")
    page.get_by_role("button", name="Run now").first.click()
    expect(page.locator(".said")).to_have_text("0 3 * * 1 has run")
    shop.running.wait_for("swept")


def test_a_page_that_is_loaded_again_in_the_middle_of_an_action_does_not_stop_it_or_do_it_twice(shop: Shop) -> None:
    page = shop.open("/crons")
    page.evaluate("document.body.id = 'old'")
    page.get_by_role("button", name="Run now").nth(1).click(no_wait_after=True)
    shop.running.wait_for("sweeps")
    with suppress(Error):  # the answer to the form will not be shown
        page.reload()
    expect(page.locator("#old")).to_have_count(0)
    expect(page.locator("h1")).to_have_text("Crons")
    shop.client.post("/release")
    shop.running.wait_for("swept")
    page = shop.open("/queues/later")
    page.locator("#body").fill('"once"')
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".said")).to_have_text("1 message sent to later")
    expect(page).to_have_url(f"{shop.url}{ROOT}/queues/later")  # what was said is said once
    page.reload()
    expect(page.locator(".said")).to_have_count(0)
    expect(page.locator("td.body")).to_have_count(1)
    assert shop.running.output.count("sweeps") == 1


def test_sql_is_run_and_its_errors_are_shown(shop: Shop) -> None:
    page = shop.open("/data/d1/books-1")
    page.locator("#text").fill("create table book (title); insert into book values ('Emma')")
    page.locator("#text").press("Control+Enter")
    expect(page.locator("main")).to_contain_text("1 row changed")
    page.locator("#text").fill("select title, 1 as n from book")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("thead")).to_have_text("titlen")
    expect(page.locator("tbody")).to_have_text("Emma1")
    page.locator("#text").fill("select * from none")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("no such table")
    expect(page.locator("#text")).to_have_value("select * from none")


def focus_by_tab(page: Page, role: str, name: str) -> None:
    """Press the tabulator until something has the focus."""
    wanted = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    expect(wanted).to_be_visible()
    for _ in range(80):
        if wanted.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the tabulator does not lead to the {role} {name!r}")


def test_keys_alone_lead_from_a_dead_message_to_why_to_a_rehearsal_and_a_redrive(
    shop: Shop, tmp_path: Path, write: Callable[[str], None]
) -> None:
    shop.fail("fail: by keyboard")
    identifier = shop.dead()[0]["id"][:8]
    page = shop.open()
    page.keyboard.press("/")
    page.keyboard.type("state:dead")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("state:dead")
    focus_by_tab(page, "link", identifier)
    page.keyboard.press("Enter")
    expect(page.locator(".why")).to_contain_text("ConnectionError: fail: by keyboard")
    write("never")
    focus_by_tab(page, "button", "Rehearse")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("Rehearsal")
    expect(page.locator("main")).to_contain_text("1 acked")
    assert shop.waiting("jobs-dlq") == 1
    focus_by_tab(page, "button", "Redrive")
    page.keyboard.press("Enter")
    expect(page.locator(".said")).to_contain_text("1 message to jobs redriven")
    expect(page.locator("h1")).to_contain_text("acked")
    assert shop.waiting("jobs-dlq") == 0


@pytest.fixture
def write(shop: Shop, tmp_path: Path) -> Callable[[str], None]:
    """Changes which messages fail, and waits for the reload."""

    def write_one(text: str) -> None:
        entry = tmp_path / "entry.py"
        entry.write_text(entry.read_text().replace('if "fail" in', f'if "{text}" in'))
        shop.running.wait_for("Reloaded")

    return write_one


def test_a_batch_that_still_fails_is_said_to_in_a_rehearsal_and_nothing_happens(shop: Shop) -> None:
    shop.fail()
    page = shop.open(f"/messages/{shop.dead()[0]['id']}")
    page.get_by_role("button", name="Rehearse").click()
    expect(page.locator(".why")).to_contain_text("Nothing of it was carried out")
    expect(page.locator("tbody")).to_contain_text("ConnectionError: fail")
    expect(page.locator(".parts")).to_contain_text("got fail")
    page.get_by_role("button", name="Rehearse again").click()
    expect(page.locator("tbody")).to_contain_text("ConnectionError: fail")
    assert shop.waiting("jobs-dlq") == 1


def test_a_console_runs_what_it_is_given_once_though_its_page_is_loaded_again(shop: Shop) -> None:
    shop.client.get("/fill")
    page = shop.open("/data/d1/books-1")
    page.locator("#text").fill("insert into book values ('Persuasion')")
    page.get_by_role("button", name="Run").click()
    page.locator("form[data-once]").wait_for()
    page.locator(".state[data-is=live]").wait_for()  # its script has run
    page.reload()
    shop.open("/data/d1/books-1?table=book")
    expect(page.get_by_role("cell", name="Persuasion")).to_have_count(1)
