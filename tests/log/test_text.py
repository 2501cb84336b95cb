"""What the lines of each event look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from emulator.base.bus import Notice
from emulator.base.failure import Failure, Frame
from emulator.bindings.events import BindingUsed
from emulator.cli.queues import queues
from emulator.hosts.events import EmailFinished, HandlerFailed, RuntimeExited, ScheduledFinished, WorkerOutput
from emulator.log import record
from emulator.log.style import Style
from emulator.log.text import TextLines
from emulator.queues.events import (
    BatchDelivered,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesPromoted,
    MessagesSent,
)
from emulator.queues.message import Attempt, Cause, DeadLetter, QueueMessage, Settlement, Verdict
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded
from tests.log.showing import FAILURE, FakeHost, batch, config, message, records, show


def test_request_line() -> None:
    assert show(RequestFinished("w", "GET", "/signup", 200, 0.0031)) == "GET /signup 200 OK (3 ms)\n"


@pytest.mark.parametrize(
    ("status", "seconds", "text"),
    [
        (404, 0.0, "404 Not Found (0 ms)"),
        (499, 0.5, "499 Client went away (500 ms)"),
        (599, 0.002, "599 (2 ms)"),
        (200, 12.34, "200 OK (12.3 s)"),
    ],
)
def test_request_line_of_other_answers(status: int, seconds: float, text: str) -> None:
    assert show(RequestFinished("w", "PUT", "/", status, seconds)) == f"PUT / {text}\n"


def test_control_characters_in_a_path_are_escaped() -> None:
    line = show(RequestFinished("w", "GET", "/a\x1b[31m\nb\u202e", 200, 0.0))
    assert line == "GET /a\\x1b[31m\\nb\\u202e 200 OK (0 ms)\n"


EVIL = "a\x1b[2J\r\nReady on \x9b31m\u202e\u2066\x00"


def everything_from_outside(text: str) -> list[object]:
    """Events whose every text, but what worker code prints, comes from outside."""
    letter = DeadLetter(text, 9.0, (Attempt(1, 1.0, "exception", text, text),))
    dead = [message(1, dead_letter=letter)]
    settlement = Settlement([], dead=dead, dead_letter_queue=text)
    failure = Failure(text, text, (Frame(text, 1, text, text, is_user=True), Frame(text, 1, text, text, False)), text)
    verbatim = Failure(text, text, (), text, verbatim=True)
    return [
        RequestFinished("w", "GET", text, 200, 0.0),
        BatchDelivered(text, text, dead, Verdict(), settlement, 0.0, 0.0),
        MessagesForwarded(text, dead, 0.0),
        MessagesPromoted(text, dead),
        MessagesSent(text, dead, text),
        BindingUsed("w", text, text, text, text, 12, 0.0, text),
        MessagesDeadLettered(text, text, dead),
        MessagesDropped(text, dead, "retries"),
        MessagesDropped(text, dead, "expired"),
        MessagesDropped(text, dead, "purged"),
        ScheduledFinished(text, text, text, 0.0),
        EmailFinished(text, text, text, text, text, 0.0),
        HandlerFailed(text, text, failure),
        HandlerFailed(text, text, verbatim),
        RuntimeExited(text, text, 0.0),
        WorkerReloaded(text, [text], 0.0, None),
        WorkerReloaded(text, [text], 0.0, failure),
        ConfigurationChanged(text, [text]),
        ConfigurationChanged(text, [text, text]),
        WorkerOutput(text, text, "info", "fine", text),
        WorkerOutput(text, text, "info", text, text),
        Notice("warning", text, text),
    ]


def test_nothing_from_outside_steers_the_terminal() -> None:
    host = FakeHost(config(EVIL, Path(f"/{EVIL}"), environment=EVIL), {"fetch"})
    other = FakeHost(config("other"), {"fetch"})
    for event in (*everything_from_outside(EVIL), ServerReady("http://127.0.0.1:1")):
        text = show(event, hosts=[host, other], level="debug").removesuffix("\n")
        assert not [char for char in text if char != "\n" and not char.isprintable()], (event, text)
        assert not [line for line in text.split("\n") if line.startswith("Ready on \\")], (event, text)


def test_the_json_log_keeps_what_comes_from_outside_as_it_is() -> None:
    [line] = records(ScheduledFinished("w", EVIL, "ok", 0.0))
    assert line["cron"] == EVIL


def test_a_process_that_ended_tells_when_it_is_started_again() -> None:
    text = "Error: shop: workerd, which runs it, was killed by SIGKILL; restarting it"
    assert show(RuntimeExited("shop", "was killed by SIGKILL", 0.0)) == f"{text} now\n"
    assert show(RuntimeExited("shop", "was killed by SIGKILL", 0.5)) == f"{text} in 0.5 s\n"


def test_what_a_worker_prints_keeps_its_colours_and_any_script() -> None:
    printed = "\x1b[1;31mred\x1b[0m \U0001f468\u200d\U0001f469 \u0645\u06cc\u200c\u0634\ue0b0\tend"
    assert show(WorkerOutput("w", "", "info", printed)) == f"[w] {printed}\n"


def test_what_a_worker_prints_does_not_steer_the_terminal() -> None:
    line = show(WorkerOutput("w", "", "info", "\x1b[31mred\x1b[2J \x1b]0;title\x07 \rGET / 200 OK \u202e"))
    assert line == "[w] \x1b[31mred\\x1b[2J \\x1b]0;title\\x07 \\rGET / 200 OK \\u202e\x1b[0m\n"
    assert show(WorkerOutput("w", "", "info", "one\r\ntwo\r")) == "[w] one\n  two\n"


def test_a_long_path_keeps_its_beginning_and_its_end() -> None:
    line = show(RequestFinished("w", "GET", "/begin" + "x" * 5_000 + "end", 200, 0.0))
    assert len(line) < 200
    assert line.startswith("GET /beginxxx")
    assert "...x" in line
    assert "xend 200 OK" in line


def test_batch_line() -> None:
    settlement = Settlement([message(n) for n in range(9)], retried=[(message(9), 0)])
    assert show(batch(settlement, 10)) == "QUEUE my-app-events 9/10 acked, 1 retried (12 ms)\n"


def test_below_a_batch_are_the_errors_for_which_its_handler_asked_for_retries() -> None:
    def failed(number: int, error: str) -> QueueMessage:
        return message(number, failures=(Attempt(1, 1.0, "retry", error),))

    retried = [(failed(number, f"ValueError: {min(number, 2)}\x1b"), 0) for number in range(1, 4)]
    here = Cause("ValueError: 1", location=f"{Path.cwd()}/src/entry.py:7")
    settlement = Settlement(
        [],
        [*retried, (failed(4, ""), 0)],
        dropped=[failed(5, "ValueError: gone")],
        verdict=Verdict(causes={retried[0][0].id: here}),
    )
    assert show(batch(settlement, 5)) == (
        "QUEUE my-app-events 0/5 acked, 4 retried, 1 dropped (12 ms)\n"
        "  10000000: ValueError: 1\\x1b (src/entry.py:7)\n"
        "  20000000, 30000000: ValueError: 2\\x1b\n"
    )
    many = Settlement([], [(failed(number, f"ValueError: {number}"), 0) for number in range(1, 7)])
    assert show(batch(many, 6)).endswith("  30000000: ValueError: 3\n  and 3 more errors\n")


def test_batch_line_tells_delays_dead_letters_expiry_and_timeouts() -> None:
    settlement = Settlement(
        [],
        retried=[(message(1), 5), (message(2), 30)],
        dead=[message(3)],
        expired=[message(4)],
        dead_letter_queue="dlq",
    )
    line = show(batch(settlement, 4, Verdict("exceeded_cpu"), 31.0))
    assert line == (
        "QUEUE my-app-events 0/4 acked, 2 retried (in 5 to 30 s), 1 moved to dlq, 1 expired, out of CPU time (31.0 s)\n"
    )


def test_dead_letter_is_a_warning_with_the_last_error() -> None:
    letter = DeadLetter("q", 9.0, tuple(Attempt(n, 1.0, "exception", "ConnectionError: refused") for n in range(1, 5)))
    dead = [message(0x1C0A92F3, dead_letter=letter)]
    text = show(MessagesDeadLettered("q", "q-dlq", dead), level="warning")
    assert text == (
        "Warning: q moved 1 message (3f29a0c1) to q-dlq after 4 attempts: ConnectionError: refused\n"
        "  To look inside: emulator queues peek q-dlq\n"
    )


def test_the_command_that_looks_at_dead_letters_exists() -> None:
    assert "peek" in queues.commands


def test_dead_letters_that_share_a_reason_share_a_line() -> None:
    letter = DeadLetter("q", 9.0, (Attempt(1, 1.0, "retry"),))
    text = show(MessagesDeadLettered("q", "q-dlq", [message(n, dead_letter=letter) for n in range(100)]))
    assert text.count("Warning") == 1
    assert "moved 100 messages (" in text
    assert ", 97 more) to q-dlq after 1 attempt: the handler called retry()" in text


def test_drops_say_why() -> None:
    failed = message(1, attempts=4, failures=(Attempt(4, 1.0, "exception", "ValueError: no"),))
    text = show(
        MessagesDropped("q", [failed], "retries"),
        MessagesDropped("q", [message(2)], "expired"),
        MessagesDropped("q", [message(3), message(4)], "purged"),
    ).splitlines()
    assert (
        text[0]
        == "Warning: q has no dead letter queue and dropped 1 message (10000000) after 4 attempts: ValueError: no"
    )
    assert text[1] == "Warning: q dropped 1 message (20000000): older than the queue's retention period"
    assert text[2] == "QUEUE q 2 messages purged"


def test_a_retry_says_which_attempt_comes_next_and_when() -> None:
    def line(*attempts: int, delays: Sequence[int]) -> str:
        retried = [(message(number, attempts=number), delay) for number, delay in zip(attempts, delays, strict=True)]
        return show(batch(Settlement([], retried, max_attempts=4), len(retried)))

    assert line(1, delays=[30]) == "QUEUE my-app-events 0/1 acked, 1 retried (attempt 2 of 4, in 30 s) (12 ms)\n"
    assert line(1, 1, delays=[0, 0]) == "QUEUE my-app-events 0/2 acked, 2 retried (attempt 2 of 4) (12 ms)\n"
    assert "2 retried (attempts 2 to 4 of 4, in 0 to 5 s)" in line(1, 3, delays=[0, 5])


def test_an_error_that_worker_code_logs_looks_like_one() -> None:
    assert show(WorkerOutput("w", "", "error", "no mail\nat all")) == "[w] ERROR no mail\n  at all\n"
    assert show(WorkerOutput("w", "", "error", "TypeError: no")) == "[w] TypeError: no\n"
    assert show(WorkerOutput("w", "", "warning", "to stderr")) == "[w] to stderr\n"
    lines = TextLines(Style(enabled=True), Path("/"))
    text = lines.output(record.output(WorkerOutput("w", "", "error", "Error: a\nb")))
    assert text == "\x1b[2m[w]\x1b[0m \x1b[31mError: a\x1b[0m\n  \x1b[31mb\x1b[0m\n"


def test_carets_mark_the_place_of_a_syntax_error() -> None:
    source = ["def f():\n", "\treturn 'é' 1 +\n"]
    frame = Frame("/app/entry.py", 2, "<module>", source[1].strip(), True, source, 9, 14)
    text = show(HandlerFailed("w", "GET /", Failure("SyntaxError", "invalid syntax", (frame,), "")))
    assert text.endswith("    return 'é' 1 +\n           ^^^^^\n")


def test_lines_are_cut_to_the_width_but_not_what_worker_code_says() -> None:
    lines = TextLines(Style(enabled=True), Path("/"))
    lines.width = 80
    long = "x" * 300
    failed = message(1, attempts=1, failures=(Attempt(1, 1.0, "retry", f"ValueError: {long}"),))
    dead = message(2, dead_letter=DeadLetter("q", 1.0, (Attempt(1, 1.0, "retry", f"ValueError: {long}"),)))
    shown = [
        lines.request(RequestFinished("w", "DELETE", f"/{long}/end", 500, 12.3)),
        *lines.batch(record.batch(batch(Settlement([], [(failed, 0)]), 1))).splitlines(),
        *lines.dead_lettered(record.dead_lettered(MessagesDeadLettered("q", "q-dlq", [dead]))).splitlines(),
        lines.scheduled(record.scheduled(ScheduledFinished("w", long, "ok", 0.1))),
    ]
    widths = [len(re.sub(r"\x1b\[\d+m", "", line).rstrip("\n")) for line in shown]
    assert max(widths) <= 80
    assert widths[0] > 70
    assert "/end" in shown[0]
    assert long in lines.output(record.output(WorkerOutput("w", f"GET /{long}", "info", long)))
    assert long in lines.failure(record.failure(HandlerFailed("w", "GET /", Failure("E", long, (), long))))


def test_a_failure_without_a_place_is_one_line_however_often_it_comes() -> None:
    failed = HandlerFailed("w", "GET /", Failure("", "ended", (), "ended"))
    assert show(failed, failed) == "Error in GET /: ended\n" * 2


def test_a_kind_of_two_words_is_shown_with_a_space() -> None:
    used = BindingUsed("w", "secrets_store", "API_KEY", "get", "api_key", 3, 0.001)
    assert show(used, level="debug") == "SECRETS STORE API_KEY get api_key 3 B (1 ms)\n"


def test_email_line() -> None:
    ends = ("w", "a@a.example", "b@b.example")
    assert show(EmailFinished(*ends, "ok", "", 0.003)) == "EMAIL a@a.example to b@b.example ok (3 ms)\n"
    assert show(EmailFinished(*ends, "ok", "no", 0.003)) == "EMAIL a@a.example to b@b.example rejected: no (3 ms)\n"


def test_scheduled_line() -> None:
    assert show(ScheduledFinished("w", "*/5 * * * *", "ok", 0.003)) == "SCHEDULED */5 * * * * ok (3 ms)\n"


def test_output_carries_the_worker_and_what_it_belongs_to() -> None:
    text = show(
        WorkerOutput("sign-up", "QUEUE my-app-events", "info", "hello\n"),
        WorkerOutput("sign-up", "", "warning", "two\nlines", "app.mail"),
    )
    assert text == "[sign-up QUEUE my-app-events] hello\n[sign-up] WARNING app.mail: two\n  lines\n"


def test_failure_shows_the_users_frames_from_the_innermost_out() -> None:
    text = show(HandlerFailed("sign-up", "QUEUE q", FAILURE))
    assert text == (
        "Error in QUEUE q: ConnectionError: refused\n"
        "  /app/src/mail.py:6 in send\n"
        "    client.post(event)\n"
        "  /app/src/entry.py:31 in queue\n"
        "    await send(event)\n"
        "  raised in /lib/httpx/_client.py:118\n"
        "  because of OSError: no route\n"
    )


def test_the_same_failure_again_is_short() -> None:
    failed = HandlerFailed("sign-up", "QUEUE q", FAILURE)
    again = show(failed, failed).removeprefix(show(failed))
    assert again == "Error in QUEUE q: ConnectionError: refused\n  as above, at /app/src/mail.py:6\n"


def test_a_failure_that_says_all_there_is_to_say_is_shown_as_it_is() -> None:
    said = "Error: Unexpected\n\n    a.ts:1:2:\n      1 │ (;\n        ╵  ^"
    failure = Failure("BuildError", "Unexpected", FAILURE.frames, said, verbatim=True)
    assert show(WorkerReloaded("app", ["a.ts"], 0.0, failure)) == (
        "Error: app failed to load; its messages are held until it does:\n"
        "  Error: Unexpected\n\n      a.ts:1:2:\n        1 │ (;\n          ╵  ^\n"
    )


def test_a_real_failure_is_named_by_its_path_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "entry.py").write_text("def fetch():\n    return 1 / 0\n")
    namespace: dict[str, Callable[[], None]] = {}
    exec(compile((tmp_path / "entry.py").read_text(), tmp_path / "entry.py", "exec"), namespace)
    with pytest.raises(ZeroDivisionError) as caught:
        namespace["fetch"]()
    failure = Failure.from_exception(caught.value, tmp_path)
    text = show(HandlerFailed("w", "GET /", failure))
    assert text.startswith(
        "Error in GET /: ZeroDivisionError: division by zero\n  entry.py:2 in fetch\n    return 1 / 0\n"
    )


def test_reload_lines() -> None:
    assert show(WorkerReloaded("sign-up", ["entry.py"], 0.021)) == "Reloaded sign-up in 21 ms (entry.py)\n"
    many = WorkerReloaded("sign-up", ["a.py", "b.py", "c.py", "d.py"], 0.021)
    assert show(many).endswith("(a.py, b.py, 2 more)\n")
    failed = show(WorkerReloaded("sign-up", ["entry.py"], 0.0, FAILURE))
    assert failed.startswith(
        "Error: sign-up failed to load; its messages are held until it does: ConnectionError: refused\n"
    )


def test_configuration_and_notices() -> None:
    text = show(
        ConfigurationChanged("wrangler.jsonc", ["queue a is new"]),
        ConfigurationChanged("wrangler.jsonc", ["queue a is new", "var B is gone"]),
        Notice("warning", "blocked for 1 s\nat entry.py:3", "sign-up"),
        Notice("error", "bad"),
        Notice("info", "Stopping"),
    )
    assert text == (
        "Configuration wrangler.jsonc: queue a is new\n"
        "Configuration wrangler.jsonc:\n  queue a is new\n  var B is gone\n"
        "Warning: sign-up: blocked for 1 s\n  at entry.py:3\n"
        "Error: bad\n"
        "Stopping\n"
    )


def test_several_workers_have_addresses_and_are_named_on_every_line() -> None:
    hosts = [FakeHost(config("web"), {"fetch"}), FakeHost(config("jobs"), {"queue"})]
    ready = ServerReady("http://127.0.0.1:9000")
    text = show(ready, RequestFinished("jobs", "GET", "/", 200, 0.0), hosts=hosts)
    assert "http://jobs.localhost:9000" in text
    assert "http://web.localhost" not in text
    assert text.endswith("GET / 200 OK (0 ms) jobs\n")


def test_colour_changes_nothing_but_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    published = [
        RequestFinished("w", "GET", "/", 500, 12.0),
        RequestFinished("w", "GET", "/", 200, 0.1),
        batch(Settlement([message(1)]), 1),
        HandlerFailed("w", "GET /", FAILURE),
    ]
    plain = show(*published)
    monkeypatch.setenv("FORCE_COLOR", "1")
    colored = show(*published)
    assert colored.count("\x1b[0m") > 4
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain
