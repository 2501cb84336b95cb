"""The page of the templates with a queue, in a real browser: it shows messages as they wait, are delivered or die, and
in production nothing of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from emulator.cli.init import create
from tests.integration.conftest import Running
from tests.support.browser import PRODUCTION, complaints_of
from tests.support.node_tools import needs_node


def started(template: str, directory: Path, dev: Callable[..., Running]) -> Running:
    """A new worker of a template, that waits a second for a batch and tries a message once."""
    create(directory / "app", template, "app")
    file = directory / "app/wrangler.jsonc"
    text = file.read_text().replace('"max_batch_timeout": 5', '"max_batch_timeout": 1')
    file.write_text(text.replace('"max_retries": 3', '"max_retries": 0'))
    return dev(directory / "app")


def sign_up(page: Page, email: str) -> None:
    page.locator("input").first.fill(email)
    page.locator("form").evaluate("form => form.requestSubmit()")


@pytest.mark.parametrize(
    "template",
    [
        "python-queue",
        pytest.param("javascript-queue", marks=needs_node),
        pytest.param("typescript-queue", marks=needs_node),
    ],
)
def test_messages_are_seen_to_wait_to_be_delivered_and_to_die(
    template: str, page: Page, dev: Callable[..., Running], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if template != "python-queue":
        request.getfixturevalue("javascript")
    running = started(template, tmp_path, dev)
    complaints = complaints_of(page)
    page.goto(running.url)
    expect(page.locator("#queues")).to_be_visible()
    sign_up(page, "ada@example.com")
    httpx.post(f"{running.url}/signup", data={"email": "zoë@example.com"})
    expect(page.locator("#waiting")).to_contain_text("ada@example.com")
    expect(page.locator("#waiting")).to_contain_text("zoë@example.com")
    sign_up(page, "nobody@fail.example")
    expect(page.locator("#delivered")).to_contain_text("zoë@example.com")
    expect(page.locator("#dead")).to_contain_text("nobody@fail.example")
    expect(page.locator("#delivered")).to_contain_text("ada@example.com")
    expect(page.locator("#waiting")).to_have_text("")
    assert complaints == []


def test_a_message_that_a_handler_has_is_not_shown_as_delivered(
    page: Page, dev: Callable[..., Running], tmp_path: Path
) -> None:
    running = started("python-queue", tmp_path, dev)
    mail = tmp_path / "app/src/mail.py"
    mail.write_text("import asyncio\n\n\nasync def send_welcome_email(*_):\n    await asyncio.sleep(1)\n")
    running.wait_for("Reloaded")
    page.goto(running.url)
    sign_up(page, "ada@example.com")
    expect(page.locator("#waiting")).to_contain_text("being delivered")
    assert page.locator("#delivered").inner_text() == ""
    expect(page.locator("#delivered")).to_contain_text("ada@example.com")


def test_in_production_the_page_is_a_form_and_asks_for_nothing(
    page: Page, dev: Callable[..., Running], tmp_path: Path
) -> None:
    running = started("python-queue", tmp_path, dev)
    complaints = complaints_of(page)
    page.goto(running.url.replace("127.0.0.1", PRODUCTION))
    sign_up(page, "ada@example.com")
    expect(page.locator("output")).to_contain_text("true")
    running.wait_for("1/1 acked")
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)")
    assert asked == ["/signup"]
    expect(page.locator("#queues")).to_be_hidden()
    assert "Waiting" not in page.locator("body").inner_text()
    assert complaints == []
