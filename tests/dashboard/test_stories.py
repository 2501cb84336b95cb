"""What the kit, and so everybody, is told about messages: the same in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from emulator.base.errors import EmulatorError
from emulator.bindings.queue.addresses import queue_id
from emulator.dashboard.parts import together
from emulator.dashboard.stories import Stories
from emulator.dashboard.story import ActPart, MessageStory, Trouble
from emulator.server.addresses import API_PREFIX, DASHBOARD_API
from emulator.testing import Emulator
from tests.support.node_tools import needs_node

QUEUES: Final[dict[str, Any]] = {
    "producers": [{"binding": "JOBS", "queue": "jobs"}],
    "consumers": [
        {
            "queue": "jobs",
            "max_retries": 2,
            "retry_delay": 60,
            "max_batch_size": 2,
            "max_batch_timeout": 1,
            "max_concurrency": 1,
            "dead_letter_queue": "dead-jobs",
        }
    ],
}

PYTHON: Final = """\
import asyncio
from workers import Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.JOBS.send(await request.json())
        return Response("sent")

    async def queue(self, batch, env, ctx):
        print("took", batch.messages[0].body["do"])
        for message in batch.messages:
            if message.body["do"] == "fail":
                raise ConnectionError("mail server is down")
            if message.body["do"] == "call":
                await fetch("https://api.example.com/rates?of=usd", method="PUT")
            if message.body["do"] == "later":
                message.retry(delaySeconds=30)
            if message.body["do"] == "hang":
                await asyncio.sleep(300)
"""

JAVASCRIPT: Final = """\
export default {
  async fetch(request, env) {
    await env.JOBS.send(await request.json());
    return new Response("sent");
  },

  async queue(batch) {
    console.log("took", batch.messages[0].body.do);
    for (const message of batch.messages) {
      if (message.body.do === "fail") {
        throw new TypeError("mail server is down");
      }
      if (message.body.do === "call") {
        await fetch("https://api.example.com/rates?of=usd", { method: "PUT" });
      }
      if (message.body.do === "later") message.retry({ delaySeconds: 30 });
    }
  },
};
"""


@pytest.fixture(params=["python", pytest.param("javascript", marks=needs_node)])
def emulator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Emulator]:
    language = request.param
    if language == "javascript":
        request.getfixturevalue("javascript")
    main = tmp_path / ("entry.py" if language == "python" else "index.js")
    main.write_text(PYTHON if language == "python" else JAVASCRIPT)
    with Emulator(main=main, name="shop", queues=QUEUES, settings={"compatibility_date": "2026-01-01"}) as opened:
        yield opened


@pytest.fixture
def python() -> Iterator[Emulator]:
    with Emulator(main=PYTHON, name="shop", queues=QUEUES) as opened:
        yield opened


def sent(emulator: Emulator, do: str) -> str:
    """The id of a message that a request has sent."""
    emulator.post("/send", json={"do": do})
    return emulator.queue("jobs").messages[-1].id


def redrive(emulator: Emulator, queue: str) -> None:
    answer = emulator.post(f"{API_PREFIX}/emulator/queues/{queue_id(queue)}/redrive", json={})
    assert answer.status_code == 200, answer.text


def test_a_message_that_died_says_where_it_came_from_and_why_each_attempt_failed(emulator: Emulator) -> None:
    identifier = sent(emulator, "fail")
    emulator.run_until_idle()

    story = emulator.why(identifier)

    assert (story.state, story.queue, story.attempts, story.is_whole) == ("dead", "dead-jobs", 3, True)
    first, dead = story.lives
    assert first.origin is not None
    assert (first.origin.kind, first.origin.text) == ("request", "from worker shop, in POST /send")
    assert [(attempt.number, attempt.of, attempt.result) for attempt in first.attempts] == [
        (1, 3, "retried"),
        (2, 3, "retried"),
        (3, 3, "dead"),
    ]
    for attempt in first.attempts:
        assert attempt.decision == "the handler raised an exception"
        assert attempt.trouble is not None
        assert "mail server is down" in attempt.trouble.error
        marked = [line.text for line in attempt.trouble.source if line.is_it]
        assert len(marked) == 1
        assert "mail server is down" in marked[0]
        assert [part.text for part in attempt.parts if part.kind == "line"] == ["took fail"]
        assert attempt.batch == [identifier]
    assert [(attempt.delay, attempt.delay_from) for attempt in first.attempts] == [
        (60, "retry_delay of the consumer"),
        (60, "retry_delay of the consumer"),
        (None, ""),
    ]
    assert dead.origin is not None
    assert dead.origin.kind == "dead letter"
    assert story.because.startswith(
        "It died in queue jobs at 08:02:03: all 3 attempts (max_retries 2) failed, the last: "
    )
    assert "emulator queues redrive dead-jobs" in story.next


def test_a_message_that_waits_after_a_retry_says_which_setting_chose_the_delay(emulator: Emulator) -> None:
    identifier = sent(emulator, "later")
    emulator.advance(2)

    story = emulator.why(identifier)

    assert story.state == "delayed"
    assert story.because == (
        "It waits in queue jobs until 08:00:31: attempt 1 failed (the handler called retry() on it), "
        "and the delay is 30 s from retry(delaySeconds)."
    )
    assert story.next == "attempt 2 of 3 at 08:00:31"
    assert story.next_at == emulator.now.timestamp() + 29


def test_an_acked_message_says_who_has_acked_it(emulator: Emulator) -> None:
    identifier = sent(emulator, "work")
    emulator.run_until_idle()

    story = emulator.why(identifier)

    assert story.state == "acked"
    assert story.because == "It was acked at 08:00:01 by worker shop, in attempt 1: the handler returned."
    assert story.body == {"do": "work"}


def test_a_redriven_message_has_its_old_life_and_its_new_one(emulator: Emulator) -> None:
    identifier = sent(emulator, "fail")
    emulator.run_until_idle()
    redrive(emulator, "dead-jobs")

    story = emulator.why(identifier)

    assert story.state == "ready"
    assert [(life.queue, life.end, len(life.attempts)) for life in story.lives] == [
        ("jobs", "dead", 3),
        ("dead-jobs", "redriven", 0),
        ("jobs", "", 0),
    ]
    origin = story.lives[-1].origin
    assert origin is not None
    assert origin.kind == "redrive"
    assert story.next == "attempt 1 of 3"


def test_the_text_has_everything_and_shows_the_line_once(emulator: Emulator) -> None:
    identifier = sent(emulator, "fail")
    emulator.run_until_idle()

    text = str(emulator.why(identifier[:8]))

    assert text.startswith(f"{identifier}  dead-jobs  dead\n  It died in queue jobs")
    assert "entered jobs, from worker shop, in POST /send" in text
    assert text.count("again after 60 s, from retry_delay of the consumer") == 2
    assert text.count(" >   ") == 1


def test_a_paused_queue_is_why_a_message_waits(python: Emulator) -> None:
    python.queue("jobs").pause()
    identifier = sent(python, "work")
    python.advance(10)
    assert "Deliveries are paused" in python.why(identifier).because


def test_a_delay_of_the_send_is_named(python: Emulator) -> None:
    python.queue("jobs").send({"do": "work"}, delay_seconds=45)
    story = python.why(python.queue("jobs").messages[0])
    assert story.because == "It waits in queue jobs until 08:00:45: it was sent with a delay of 45 s, from the send."
    assert story.lives[0].origin is not None
    assert story.lives[0].origin.text == "from the test"


def test_max_concurrency_is_why_a_message_waits(python: Emulator) -> None:
    running = sent(python, "hang")
    python.advance(2)
    waiting = sent(python, "work")
    python.advance(5)
    assert python.why(running).because == "A handler has it now, as attempt 1 of 3."
    assert python.why(waiting).because == (
        "It is ready in queue jobs. max_concurrency is 1, and 1 delivery is under way."
    )


def test_a_worker_that_does_not_load_is_why_a_message_waits(python: Emulator) -> None:
    session = python._core.session
    session.fail(0, _failure())
    identifier = sent_by_test(python)
    python.advance(5)
    assert "Its consumer, worker shop, does not load: SyntaxError: no." in python.why(identifier).because


def test_a_request_is_told_with_what_it_asked_for(emulator: Emulator) -> None:
    emulator.post("/send?a=b", json={"do": "work"}, headers={"x-note": "hello", "cookie": "id=secret"})
    core = emulator._core
    [found] = emulator.requests("path~/send")
    assert (list(found.headers), found.body) == ([], None)
    story = Stories(core.session, core.recorder).request(found.id)
    assert ("x-note", "hello") in story.headers
    assert "secret" not in str(story)
    assert (json.loads(story.body or ""), story.body_note) == ({"do": "work"}, "")


def test_the_line_of_code_that_sent_a_message_is_told(python: Emulator) -> None:
    story = python.why(sent(python, "later"))
    origin = story.lives[0].origin
    assert origin is not None
    assert origin.location.endswith(".py:7")
    assert [line.text.strip() for line in origin.source if line.is_it] == [
        "await self.env.JOBS.send(await request.json())"
    ]
    assert re.search(r"from worker shop, in POST /send \(\S+\.py:7\)", str(story))


def test_a_message_that_a_test_sent_comes_from_no_line(python: Emulator) -> None:
    origin = python.why(sent_by_test(python)).lives[0].origin
    assert origin is not None
    assert (origin.location, list(origin.source)) == ("", [])


def test_what_a_handler_fetched_is_told(emulator: Emulator) -> None:
    emulator.outbound.put("https://api.example.com/rates*", status=503)
    identifier = sent(emulator, "call")
    emulator.advance(2)
    [attempt] = emulator.why(identifier).lives[0].attempts
    [part] = [part for part in attempt.parts if part.kind == "fetch"]
    assert (part.text, part.level) == ("PUT https://api.example.com/rates?of=usd 503", "error")
    assert "fetched   PUT https://api.example.com/rates?of=usd 503" in str(emulator.why(identifier))


def test_a_purged_message_says_so(python: Emulator) -> None:
    identifier = sent(python, "work")
    python.queue("jobs").purge()
    assert python.why(identifier).because == ("It was deleted at 08:00:00: somebody purged it from queue jobs.")


def test_what_is_too_old_to_be_recorded_is_told_as_far_as_the_message_carries_it(python: Emulator) -> None:
    identifier = sent(python, "fail")
    python.run_until_idle()
    forget(python)

    story = python.why(identifier)

    assert not story.is_whole
    assert story.state == "dead"
    assert [attempt.number for attempt in story.lives[0].attempts] == [1, 2, 3]
    assert "ConnectionError: mail server is down" in story.because
    assert "Not all of what happened to it is recorded." in str(story)


def test_an_unknown_message_says_how_far_the_memory_goes_back(python: Emulator) -> None:
    sent(python, "work")
    with pytest.raises(
        EmulatorError, match=r"nothing is known of a message f{32}: it is in no queue, and what is recorded"
    ):
        python.why("f" * 32)


def test_a_message_says_where_more_happened_than_is_recorded(python: Emulator) -> None:
    identifier = sent(python, "work")
    python.run_until_idle()
    assert python.why(identifier).is_whole

    began = python.why(identifier).lives[0].began
    assert began is not None
    python._core.recorder._gaps.append((began - 1, began + 1))

    assert not python.why(identifier).is_whole
    with pytest.raises(
        EmulatorError, match=r"and from 07:59:59 to 08:00:01 more went well than is recorded \(200 requests "
    ):
        python.why("f" * 32)


def test_digits_that_are_those_of_several_messages_are_refused(python: Emulator) -> None:
    ids = [sent_by_test(python) for _ in range(17)]
    twice = next(digit for digit in "0123456789abcdef" if sum(each.startswith(digit) for each in ids) > 1)
    with pytest.raises(EmulatorError, match=f"messages begin with {twice}, such as "):
        python.why(twice)


def sent_by_test(emulator: Emulator) -> str:
    emulator.queue("jobs").send({"do": "work"})
    return emulator.queue("jobs").messages[-1].id


def forget(emulator: Emulator) -> None:
    """Fill the recorder with other events."""
    recorder = emulator._core.recorder
    recorder.most = 1
    for _ in range(600):
        emulator._core.bus.publish(_notice())


def _notice() -> Any:
    from emulator.base.bus import Notice

    return Notice("info", "something else")


def _failure() -> Any:
    from emulator.base.failure import Failure

    return Failure("SyntaxError", "no", (), "SyntaxError: no")


LOCALS: Final = """\
from workers import Response, WorkerEntrypoint


def charge(order, key, pin):
    header = f"Bearer {key}"
    total = order["count"] * 2
    raise ConnectionError("no answer")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        charge(await request.json(), self.env.API_KEY, 0)

    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            if not message.body.get("retry"):
                charge(message.body, self.env.API_KEY, await self.env.PIN.get())
            try:
                charge(message.body, self.env.API_KEY, "")
            except ConnectionError:
                message.retry()
"""


def with_locals(**options: Any) -> Emulator:
    stored = {"binding": "PIN", "store_id": "s", "secret_name": "pin"}
    return Emulator(
        main=LOCALS,
        name="shop",
        queues=QUEUES,
        secrets={"API_KEY": "sk-live-12345"},
        settings={"secrets_store_secrets": [stored]},
        raise_errors=False,
        **options,
    )


def last_trouble(emulator: Emulator, body: Any) -> Trouble:
    """What went wrong in the last attempt of a message that the test sends."""
    emulator.queue("jobs").send(body)
    identifier = emulator.queue("jobs").messages[-1].id
    emulator.run_until_idle()
    trouble = emulator.why(identifier).lives[0].attempts[-1].trouble
    assert trouble is not None
    return trouble


@pytest.mark.parametrize("retry", [False, True], ids=["raised", "retried"])
def test_what_a_python_handler_had_in_its_variables_is_told_without_secrets(*, retry: bool) -> None:
    with with_locals() as emulator:
        emulator.secret("PIN").put("p4815162342")
        trouble = last_trouble(emulator, {"count": 3, "retry": retry})
        told = str(emulator.why(emulator.queue("dead-jobs").messages[0]))

    inner, outer = trouble.scopes
    assert (inner.function, outer.function) == ("charge", "queue")
    assert inner.location == trouble.location
    assert inner.variables == {
        "order": f"{{'count': 3, 'retry': {retry}}}",
        "key": "'(secret API_KEY)'",
        "pin": "''" if retry else "'(secret PIN)'",
        "header": "'Bearer (secret API_KEY)'",
        "total": "6",
    }
    assert outer.variables["batch"] == "<MessageBatch of 1 from jobs>"
    assert [line.text for line in trouble.source if line.is_it] == ['    raise ConnectionError("no answer")']
    assert told.count("header = 'Bearer (secret API_KEY)'") == 1
    assert "batch = " not in told


SAYS_PYTHON = """
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        raise ValueError(f"bad key {self.env.API_KEY}")

    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            try:
                raise ValueError(f"bad key {self.env.API_KEY}")
            except ValueError:
                if not message.body["retry"]:
                    raise
                message.retry()
"""
SAYS_JAVASCRIPT = """
export default {
  async fetch(request, env) {
    throw new Error(`bad key ${env.API_KEY}`);
  },
  async queue(batch, env) {
    for (const message of batch.messages) {
      try {
        throw new Error(`bad key ${env.API_KEY}`);
      } catch (error) {
        if (!message.body.retry) throw error;
        console.error(error);
        message.retry();
      }
    }
  },
};
"""


@pytest.mark.parametrize(
    "files",
    [{"entry.py": SAYS_PYTHON}, pytest.param({"index.js": SAYS_JAVASCRIPT}, marks=needs_node)],
    ids=["python", "javascript"],
)
def test_what_an_error_says_is_told_without_secrets(files: dict[str, str], javascript: None, tmp_path: Path) -> None:
    [(main, text)] = files.items()
    (tmp_path / main).write_text(text)
    key = "sk-live-12345"
    with Emulator(main=tmp_path / main, queues=QUEUES, secrets={"API_KEY": key}, raise_errors=False) as emulator:
        answer = emulator.get("/").text
        raised = last_trouble(emulator, {"retry": False})
        for path in ("messages", "requests", "events"):
            assert key not in emulator.get(f"{DASHBOARD_API}/{path}").text
        assert "bad key (secret API_KEY)" in answer
        assert key not in answer
        assert key not in str(emulator.timeline)
        for trouble in (raised, last_trouble(emulator, {"retry": True})):
            assert "bad key (secret API_KEY)" in trouble.error
            assert key not in trouble.traceback


def test_variables_are_those_of_the_moment_at_which_a_message_was_to_be_retried() -> None:
    with with_locals() as emulator:
        emulator.queue("jobs").send_batch([{"count": 1, "retry": True}, {"count": 2, "retry": True}])
        identifiers = [message.id for message in emulator.queue("jobs").messages]
        emulator.run_until_idle()
        troubles = [emulator.why(each).lives[0].attempts[-1].trouble for each in identifiers]
    for identifier, trouble in zip(identifiers, troubles, strict=True):
        assert trouble is not None
        assert trouble.scopes[1].variables["message"] == f"<Message {identifier} attempts=3>"


def test_a_request_that_failed_tells_its_variables() -> None:
    with with_locals() as emulator:
        emulator.post("/charge", json={"count": 3})
        [request] = emulator.get(f"{DASHBOARD_API}/requests").json()["requests"]
        told = emulator.get(f"{DASHBOARD_API}/requests/{request['id']}").text
    scopes = json.loads(told)["trouble"]["scopes"]
    assert [(each["function"], each["variables"]["order"]) for each in scopes[:1]] == [("charge", "{'count': 3}")]
    assert "sk-live" not in told


def test_without_locals_nobody_is_told_of_variables() -> None:
    with with_locals(locals=False) as emulator:
        for retry in (False, True):
            trouble = last_trouble(emulator, {"count": 3, "retry": retry})
            assert trouble.source
            assert trouble.scopes == []


def test_the_text_shows_the_first_variables_of_the_frame_that_raised() -> None:
    code = "\n".join(f"            v{number} = {str(number) * 200!r}" for number in range(10))
    main = LOCALS.replace("        for message in batch.messages:\n", f"        if True:\n{code}\n            1 / 0\n")
    with Emulator(main=main, queues=QUEUES) as emulator:
        emulator.queue("jobs").send({})
        identifier = emulator.queue("jobs").messages[-1].id
        emulator.run_until_idle()
        lines = str(emulator.why(identifier)).splitlines()
    place = next(number for number, line in enumerate(lines) if "batch = <MessageBatch" in line)
    assert [line.split(" = ")[0].strip() for line in lines[place : place + 8]] == [
        "batch", "env", "ctx", "v0", "v1", "v2", "v3", "v4",
    ]  # fmt: skip
    assert all(len(line) < 130 for line in lines[place : place + 8])
    assert lines[place + 8].strip() == "and 5 more variables"


def test_the_story_is_a_value() -> None:
    assert MessageStory(id="1", queue="q", state="acked", because="") == MessageStory(
        id="1", queue="q", state="acked", because=""
    )


def test_what_a_client_has_pulled_says_until_when_and_what_comes_then() -> None:
    tasks = {
        "consumers": [{"queue": "tasks", "type": "http_pull", "max_retries": 1, "dead_letter_queue": "dead-tasks"}]
    }
    with Emulator(main=PYTHON, name="shop", queues=tasks) as emulator:
        emulator.queue("tasks").send("one")
        pull = f"{API_PREFIX}/accounts/local/queues/{queue_id('tasks')}/messages/pull"
        body = {"batch_size": 1, "visibility_timeout_ms": 600_000}
        (pulled,) = emulator.post(pull, json=body).json()["result"]["messages"]

        story = emulator.why(pulled["id"])

        assert (story.state, story.queue) == ("in flight", "tasks")
        assert story.because.startswith("A client has pulled it, as attempt 1 of 2, and has until ")
        assert story.next == "if it is not acknowledged by then, it waits again, for attempt 2 of 2"
        assert story.next_at == pytest.approx(emulator.now.timestamp() + 600)
        listed = emulator.get(f"{DASHBOARD_API}/messages").json()["messages"]
        assert [(each["state"], each["leased_until"]) for each in listed] == [("in flight", story.next_at)]
        (queue,) = [
            each for each in emulator.get(f"{DASHBOARD_API}/queues").json()["queues"] if each["name"] == "tasks"
        ]
        assert (queue["ready"], queue["delayed"], queue["in_flight"], queue["retrying"]) == (0, 0, 1, 0)

        emulator.advance(seconds=600)
        assert emulator.why(pulled["id"]).state == "ready"
        emulator.post(pull, json=body)
        story = emulator.why(pulled["id"])
        assert story.because.startswith("A client has pulled it, as attempt 2 of 2")
        assert story.next == "if it is not acknowledged by then, it goes to dead-tasks"


def test_a_retry_that_somebody_made_ready_says_when(python: Emulator) -> None:
    identifier = sent(python, "fail")
    python.advance(seconds=5)
    at = python.now
    assert python.queue("jobs").promote() == 1
    assert python.why(identifier).state == "ready"
    python.advance(seconds=1)
    story = python.why(identifier)
    first, second = story.lives[0].attempts
    assert first.delay_from == f"retry_delay of the consumer, and made ready at {at:%H:%M:%S}"
    assert (second.number, second.delay_from) == (2, "retry_delay of the consumer")
    assert f"again after 60 s, from retry_delay of the consumer, and made ready at {at:%H:%M:%S}" in str(story)


def test_lines_that_follow_each_other_are_one_part_on_a_page() -> None:
    def line(at: float, text: str, level: str = "info") -> ActPart:
        return ActPart(kind="line", at=at, text=text, level=level)

    sent = ActPart(kind="sent", at=3.0, text="1 message to jobs")
    parts = [line(1.0, "a"), line(1.5, "b"), line(2.0, "bad", "error"), sent, line(4.0, "c")]
    joined = together(parts)
    assert [(each.kind, each.text, each.level, each.duration) for each in joined] == [
        ("line", "a\nb", "info", 0.5),
        ("line", "bad", "error", 0.0),
        ("sent", "1 message to jobs", "info", 0.0),
        ("line", "c", "info", 0.0),
    ]
    assert together([]) == []
