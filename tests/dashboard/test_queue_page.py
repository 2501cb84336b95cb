"""The page of a queue in a real browser: messages are chosen by their state, by a filter and one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect

from tests.dashboard.conftest import API, ROOT, Shop


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


def test_a_new_message_begins_from_a_body_that_was_sent(shop: Shop) -> None:
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

    browser = page.context.browser
    assert browser is not None
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
