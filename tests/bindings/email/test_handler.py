"""The `email` handler of workers in both languages: what it sees, and what it can do."""

from __future__ import annotations

import json
import subprocess
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from emulator.base.errors import EmulatorError
from emulator.hosts.events import EmailFinished
from emulator.hosts.host import JavaScriptError
from emulator.testing import AsyncEmulator, Emulator
from tests.support.languages import LANGUAGES, write_project
from tests.support.node_tools import NODE_MODULES, javascript, needs_node, tool  # noqa: F401 - a fixture

PYTHON = """
from pyodide.ffi import JsException
from workers import Response, WorkerEntrypoint, import_from_javascript

EmailMessage = import_from_javascript("cloudflare:email").EmailMessage

def raw(sender, subject, *headers):
    return "\\r\\n".join([f"From: {sender}", f"Subject: {subject}", *headers, "", "an answer", ""])

class Default(WorkerEntrypoint):
    async def email(self, message, env, ctx):
        subject = message.headers.get("subject")
        content = b"".join([bytes(piece) async for piece in message.raw])
        if subject == "look":
            seen = [getattr(message, "from"), message.to, message.rawSize, message.canBeForwarded]
            text = content.decode()
            seen += [message.headers.get("x-many"), text.splitlines()[-1], "bcc" in text.lower()]
            await self.env.SEEN.put("seen", __import__("json").dumps(seen))
        elif subject == "reject":
            message.setReject("no thanks")
        elif subject == "forward":
            sent = await message.forward("ops@b.example", {"X-Why": "because"})
            assert sent.messageId.endswith("@b.example>")
            await message.forward("more@b.example")
        elif subject == "raise":
            raise ValueError("no luck")
        else:
            try:
                identifier = message.headers.get("message-id")
                if subject == "reply":
                    await message.reply({"from": message.to, "subject": "Re: reply", "text": "hello"})
                elif subject == "raw":
                    answer = raw(message.to, "Re: raw", f"In-Reply-To: {identifier}")
                    await message.reply(EmailMessage.new(message.to, "x@x.example", answer))
                elif subject == "raw without":
                    await message.reply(EmailMessage.new(message.to, "x@x.example", raw(message.to, "Re")))
                else:
                    await message.reply(EmailMessage.new("eve@b.example", "x@x.example", raw(message.to, "Re")))
            except JsException as error:
                message.setReject(error.message)
"""
HERE = Path(__file__).parent
MINIFLARE = NODE_MODULES / "miniflare/dist/src/index.js"
JAVASCRIPT = (HERE / "handler.js").read_text()
SETTINGS = {"kv_namespaces": [{"binding": "SEEN", "id": "seen"}]}


@pytest.fixture(params=LANGUAGES)
def emulator(request: pytest.FixtureRequest, tmp_path: Path, javascript: None) -> Any:  # noqa: F811
    sources = {"entry.py": PYTHON, "index.js": JAVASCRIPT}
    with Emulator(write_project(tmp_path, request.param, sources, SETTINGS)) as made:
        yield made


def mail(subject: str, *headers: str) -> str:
    head = ["From: Ada <ada@a.example>", "To: shop@b.example", f"Subject: {subject}", "Message-ID: <1@a.example>"]
    return "\r\n".join([*head, *headers, "", "hello", "the last line", ""])


def test_a_handler_sees_the_message(emulator: Emulator) -> None:
    finished: list[EmailFinished] = []
    emulator._core.bus.subscribe(EmailFinished, finished.append)
    raw = mail("look", "X-Many: one", "Bcc: secret@c.example", "X-Many: two")
    result = emulator.dispatch_email(raw)
    size = len(raw.encode()) - len("Bcc: secret@c.example\r\n")
    seen = ["ada@a.example", "shop@b.example", size, True, "one, two", "the last line", False]
    assert emulator.kv("SEEN").get_json("seen") == seen
    assert (result.rejected, result.forwards, result.replies, len(emulator.outbox())) == (None, [], [], 0)
    [event] = finished
    assert (event.worker, event.sender, event.recipient, event.outcome) == (
        "app",
        "ada@a.example",
        "shop@b.example",
        "ok",
    )


def test_it_may_reject_it(emulator: Emulator) -> None:
    finished: list[EmailFinished] = []
    emulator._core.bus.subscribe(EmailFinished, finished.append)
    assert emulator.dispatch_email(mail("reject")).rejected == "no thanks"
    assert [event.rejected for event in finished] == ["no thanks"]


def test_it_may_forward_it(emulator: Emulator) -> None:
    forwards = emulator.dispatch_email(mail("forward"), to="other@b.example").forwards
    assert [each.recipient for each in forwards] == ["ops@b.example", "more@b.example"]
    assert [[(name.lower(), value) for name, value in each.headers] for each in forwards] == [
        [("x-why", "because")],
        [],
    ]


@pytest.mark.parametrize(("subject", "text"), [("reply", "hello"), ("raw", "an answer")])
def test_it_may_reply(emulator: Emulator, subject: str, text: str) -> None:
    result = emulator.dispatch_email(mail(subject, "References: <0@a.example>", "In-Reply-To: <0@a.example>"))
    [answer] = emulator.outbox()
    assert result.rejected is None
    assert (answer.binding, answer.sender, list(answer.recipients)) == ("reply", "shop@b.example", ["ada@a.example"])
    assert (answer.subject, answer.text.strip()) == (f"Re: {subject}", text)
    headers = dict(answer.headers)
    assert (headers["In-Reply-To"], headers["References"]) == ("<1@a.example>", "<0@a.example> <1@a.example>")


@pytest.mark.parametrize(
    ("subject", "header", "words"),
    [
        ("reply", "Auto-Submitted: auto-replied", "Original email is not replyable"),
        ("reply", "In-Reply-To: <0@a.example>", "Original email is not replyable"),
        ("raw without", "X: y", "no In-Reply-To header found in reply message"),
        ("raw from another", "X: y", "From: header does not match mail from"),
    ],
)
def test_a_wrong_reply_throws_in_the_handler(emulator: Emulator, subject: str, header: str, words: str) -> None:
    assert emulator.dispatch_email(mail(subject, header)).rejected == words
    assert len(emulator.outbox()) == 0


def test_what_a_handler_raises_comes_out(emulator: Emulator) -> None:
    with pytest.raises((ValueError, JavaScriptError), match="no luck"):
        emulator.dispatch_email(mail("raise"))


def test_what_is_no_message_is_refused(emulator: Emulator) -> None:
    with pytest.raises(EmulatorError, match="invalid or no message id provided"):
        emulator.dispatch_email(mail("x").replace("Message-ID", "X-Id"))
    with pytest.raises(EmulatorError, match="bigger than the production size limit of 25 MiB"):
        emulator.dispatch_email(mail("x") + "x" * 26_214_400)


@needs_node
@pytest.mark.usefixtures("javascript")
def test_a_handler_does_what_it_does_in_miniflare(tmp_path: Path, newest_node: str) -> None:
    thread = ("References: <0@a.example>", "In-Reply-To: <0@a.example>")
    messages = [
        *(
            mail(subject)
            for subject in ("look", "reject", "forward", "reply", "raw", "raw without", "raw from another")
        ),
        *(mail("reply", *headers) for headers in (thread, thread[:1], thread[1:])),
        mail("reply", "Auto-Submitted: auto-replied"),
        mail("reply", "Auto-Submitted: no"),
        mail("reply", "X-Auto-Response-Suppress: All"),
        mail("reply", "X-Auto-Response-Suppress: None"),
    ]
    command = [newest_node, str(HERE / "handler.mjs"), str(tool(MINIFLARE)), str(HERE / "handler.js")]
    asked = json.dumps(messages)
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    with Emulator(write_project(tmp_path, "index.js", {"index.js": JAVASCRIPT}, SETTINGS)) as emulator:
        results = [emulator.dispatch_email(message) for message in messages]
    assert json.loads(done.stdout) == [
        [
            each.rejected,
            [[to, [list(header) for header in headers]] for to, headers in each.forwards],
            len(each.replies),
        ]
        for each in results
    ]


def test_a_message_of_pythons_library_will_do(emulator: Emulator) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ada@a.example", "shop@b.example", "reject"
    message["Message-ID"] = "<2@a.example>"
    message.set_content("hello")
    assert emulator.dispatch_email(message).rejected == "no thanks"


async def test_async_tests_await_it() -> None:
    async with AsyncEmulator(main=PYTHON, settings=SETTINGS) as emulator:
        assert (await emulator.dispatch_email(mail("reject"))).rejected == "no thanks"


def test_a_worker_without_the_handler_says_so() -> None:
    worker = "from workers import Response\nasync def on_fetch(request): return Response('hi')\n"
    with Emulator(main=worker) as emulator, pytest.raises(EmulatorError, match="email"):
        emulator.dispatch_email(mail("x"))


@needs_node
@pytest.mark.usefixtures("javascript")
@pytest.mark.parametrize(
    ("date", "code"),
    [
        (
            "2026-04-01",
            "export default class extends WorkerEntrypoint { async email(m) { m.setReject(this.env.WORD); } }",
        ),
        ("2022-01-01", "export default { email(m, env) { m.setReject(env.WORD); } }"),
        ("2022-01-01", "addEventListener('email', (event) => event.waitUntil(event.message.setReject(WORD)));"),
    ],
)
def test_classes_scripts_and_old_dates_have_it_too(tmp_path: Path, date: str, code: str) -> None:
    start = 'import { WorkerEntrypoint } from "cloudflare:workers";\n' if "WorkerEntrypoint" in code else ""
    (tmp_path / "index.js").write_text(start + code)
    described = {"name": "app", "main": "index.js", "compatibility_date": date, "vars": {"WORD": "no"}}
    (tmp_path / "wrangler.json").write_text(json.dumps(described))
    with Emulator(tmp_path / "wrangler.json") as emulator:
        assert emulator.dispatch_email(mail("x")).rejected == "no"
