"""The field of a filter and that of the search, with the keyboard, in a real browser."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import ROOT, Shop
from tests.dashboard.test_safety import EVIL
from tests.support.node_tools import NODE_MODULES

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def send(shop: Shop, body: object) -> None:
    shop.client.post(f"{ROOT}/queues/later/send", data={"content_type": "json", "body": json.dumps(body)})


def options(page: Page) -> list[str]:
    return [text.partition(" ")[0] for text in page.locator("[role=option]").all_text_contents()]


def test_a_filter_is_written_with_the_arrow_keys_enter_and_tab(shop: Shop) -> None:
    send(shop, {"type": "welcome-email"})
    send(shop, {"type": "out of stock"})
    page = shop.open("/messages")
    field = page.get_by_role("combobox", name="Filter")
    expect(field).to_have_attribute("aria-expanded", "false")
    field.press_sequentially("bo")
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("option")).to_have_count(2)
    assert options(page) == ["body~", "body.type="]
    field.press("ArrowUp")
    marked = page.locator("[aria-selected=true]")
    expect(marked).to_have_text("body.type=")
    assert field.get_attribute("aria-activedescendant") == marked.get_attribute("id")
    field.press("Tab")
    expect(field).to_have_value("body.type=")
    expect(field).to_be_focused()
    expect(page.get_by_role("option")).to_have_count(2)
    field.press_sequentially("STOCK")
    expect(page.get_by_role("option")).to_have_text(['body.type="out of stock"'])
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value('body.type="out of stock" ')
    expect(page.get_by_role("option", name="state:")).to_be_visible()
    field.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("out of stock")
    assert shop.complaints == []


def test_escape_and_another_field_close_the_list_and_a_click_chooses(shop: Shop) -> None:
    page = shop.open("/logs")
    field = page.locator("#filter")
    field.press("ArrowDown")
    expect(page.get_by_role("listbox")).to_be_visible()
    field.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    field.press_sequentially("level:w")
    page.get_by_role("option", name="level:warning").click()
    expect(field).to_have_value("level:warning ")
    expect(field).to_be_focused()
    expect(page.get_by_role("listbox")).to_be_visible()
    field.press("Tab")
    expect(page.get_by_role("button", name="Filter")).to_be_focused()
    expect(page.get_by_role("listbox")).to_be_hidden()


def test_the_page_of_a_queue_completes_and_refuses_the_same(shop: Shop) -> None:
    page = shop.open("/queues/later")
    page.locator("#filter").press_sequentially("state:ret")
    expect(page.locator("[role=option]")).to_have_text(["state:retrying"])
    page.locator("#filter").fill("kind:request")
    page.locator("#filter").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("messages have no field kind")


def test_in_the_middle_of_a_filter_the_rest_stays(shop: Shop) -> None:
    page = shop.open("/requests?filter=stat+method:GET")
    field = page.locator("#filter")
    field.evaluate("field => { field.focus(); field.setSelectionRange(4, 4); }")
    field.press("ArrowDown")
    expect(page.get_by_role("option")).to_have_count(1)
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("status>= method:GET")


def test_an_open_list_has_no_serious_barrier_and_nothing_in_it_runs(shop: Shop) -> None:
    for evil in EVIL:
        send(shop, {"type": evil})
    page = shop.open("/messages")
    for width in (1280, 380):
        page.set_viewport_size({"width": width, "height": 800})
        page.locator("#filter").fill("body.type=")
        expect(page.get_by_role("option")).to_have_count(sum(evil.isprintable() for evil in EVIL))
        page.locator("#filter").press("ArrowDown")
        page.evaluate((NODE_MODULES / "axe-core/axe.min.js").read_text())
        found = page.evaluate("axe.run()")["violations"]
        assert [each["id"] for each in found if each["impact"] in {"serious", "critical"}] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#filter").press("Escape")
    assert page.evaluate("window.ran") is None
    assert shop.complaints == []


def test_what_is_wrong_is_told_with_where(shop: Shop) -> None:
    page = shop.open("/messages")
    page.locator("#filter").fill("state:dead attemps>2")
    page.locator("#filter").press("Enter")
    said = "The filter cannot be read at character 12: messages have no field attemps; the nearest is attempts."
    expect(page.get_by_role("alert")).to_have_text(said)
    expect(page.locator("#filter")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#filter")).to_have_accessible_description(said)


def test_without_a_script_the_field_is_a_form_with_suggestions(shop: Shop) -> None:
    shop.fail()
    context = shop.page.context.browser.new_context(java_script_enabled=False)  # type: ignore[union-attr]
    page = context.new_page()
    page.goto(f"{shop.url}{ROOT}/messages")
    assert page.locator("#fields option").count() > 5
    page.locator("#filter").fill("state:dead")
    page.locator("#filter").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    context.close()


def test_the_search_finds_everything_and_is_walked_through_with_the_arrow_keys(shop: Shop) -> None:
    shop.fail("fail: needle")
    shop.post("", "/needle")
    page = shop.open()
    for asked, where in (
        ("jobs-d", "queues/jobs-dlq"),
        ("shop", "workers/shop"),
        ("0 3", "crons"),
        ("books", "data/d1/books-1"),
        ("sessi", "data/kv/sessions"),
    ):
        page.keyboard.press("Control+k")
        page.keyboard.type(asked)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text(asked)
        expect(page.locator("#q")).to_have_value(asked)
        expect(page.locator(".state")).to_have_text("live")
        page.keyboard.press("ArrowDown")
        expect(page.locator(".stores a").first).to_be_focused()
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{shop.url}{ROOT}/{where}")
        expect(page.locator(".state")).to_have_text("live")
    page.keyboard.press("/")
    page.keyboard.type("needle")
    page.keyboard.press("Enter")
    expect(page.locator("h2")).to_have_text(["Messages", "Requests", "Log"])
    expect(page.locator(".log .text", has_text="got fail: needle")).to_have_count(2)
    expect(page.locator(".state")).to_have_text("live")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#q")).to_be_focused()


def test_the_search_takes_filters_and_says_when_something_is_none(shop: Shop) -> None:
    shop.fail()
    page = shop.open("/search?q=status>%3D200")
    expect(page.locator("h2")).to_have_text(["Requests", "Log"])
    page = shop.open("/search?q=attemps>2")
    expect(page.locator("main")).to_contain_text(
        "This was looked for as a text: the filter cannot be read at character 1"
    )
    expect(page.locator("main")).to_contain_text("the nearest is attempts")
    for number in range(25):
        shop.post(f"message {number}")
    page = shop.open("/search?q=message")
    page.locator("h2", has_text="Requests").wait_for(state="hidden")
    page.get_by_role("link", name="More").first.click()
    expect(page.locator("#filter")).to_have_value("message")
