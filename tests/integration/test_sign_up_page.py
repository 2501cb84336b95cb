"""The page of the templates with a queue, in a real browser: it shows messages as they wait, are delivered or die, and
in production nothing of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import ClientConnection

from emulator.cli.init import create
from tests.integration.conftest import Running
from tests.support.browser import Page, browser, needs_browser
from tests.support.node_tools import needs_node

SIGN_UP = """(() => {
  document.querySelector("input").value = %r;
  document.querySelector("form").requestSubmit();
})()"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientConnection]:
    with browser(tmp_path_factory.mktemp("profile"), "--host-resolver-rules=MAP shop.example 127.0.0.1") as connection:
        yield connection


@pytest.fixture
def page(chromium: ClientConnection) -> Iterator[Page]:
    opened = Page(chromium)
    yield opened
    opened.close()


def started(template: str, directory: Path, dev: Callable[..., Running]) -> Running:
    """A new worker of a template, that waits a second for a batch and tries a message once."""
    create(directory / "app", template, "app")
    file = directory / "app/wrangler.jsonc"
    text = file.read_text().replace('"max_batch_timeout": 5', '"max_batch_timeout": 1')
    file.write_text(text.replace('"max_retries": 3', '"max_retries": 0'))
    return dev(directory / "app")


def listed(where: str, name: str) -> str:
    return f'document.querySelector("#{where}").innerText.includes({name!r})'


@needs_browser
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
    page.open(running.url)
    page.wait_until("!document.querySelector('#queues').hidden")
    page.evaluate(SIGN_UP % "ada@example.com")
    httpx.post(f"{running.url}/signup", data={"email": "zoë@example.com"})
    page.wait_until(f"{listed('waiting', 'ada@example.com')} && {listed('waiting', 'zoë@example.com')}")
    page.evaluate(SIGN_UP % "nobody@fail.example")
    page.wait_until(f"{listed('delivered', 'zoë@example.com')} && {listed('dead', 'nobody@fail.example')}")
    assert page.evaluate(listed("delivered", "ada@example.com"))
    assert page.evaluate("document.querySelector('#waiting').innerText") == ""
    assert page.complaints == []


@needs_browser
def test_a_message_that_a_handler_has_is_not_shown_as_delivered(
    page: Page, dev: Callable[..., Running], tmp_path: Path
) -> None:
    running = started("python-queue", tmp_path, dev)
    mail = tmp_path / "app/src/mail.py"
    mail.write_text("import asyncio\n\n\nasync def send_welcome_email(*_):\n    await asyncio.sleep(1)\n")
    running.wait_for("Reloaded")
    page.open(running.url)
    page.evaluate(SIGN_UP % "ada@example.com")
    page.wait_until(listed("waiting", "being delivered"))
    assert page.evaluate("document.querySelector('#delivered').innerText") == ""
    page.wait_until(listed("delivered", "ada@example.com"))


@needs_browser
def test_in_production_the_page_is_a_form_and_asks_for_nothing(
    page: Page, dev: Callable[..., Running], tmp_path: Path
) -> None:
    running = started("python-queue", tmp_path, dev)
    page.open(running.url.replace("127.0.0.1", "shop.example"))
    page.evaluate(SIGN_UP % "ada@example.com")
    page.wait_until("document.querySelector('output').innerText.includes('true')")
    running.wait_for("1/1 acked")
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)")
    assert asked == ["/signup"]
    assert page.evaluate("document.querySelector('#queues').hidden && !document.body.innerText.includes('Waiting')")
    assert page.complaints == []
