"""Run them with `pytest`. The worker, its queue and the retries are real; only time is not: nothing here waits."""


def test_sign_up_queues_a_welcome_email(emulator):
    response = emulator.post("/signup", data={"email": "someone@example.com"})
    assert response.json() == {"ok": True}

    [delivery] = emulator.advance(seconds=5)  # max_batch_timeout passes
    assert delivery.queue == "my-app-events"
    assert delivery.outcome == "ok"
    assert [message.body["type"] for message in delivery.acked] == ["welcome-email"]


def test_a_message_that_keeps_failing_is_dead_lettered(emulator):
    emulator.post("/signup", data={"email": "nobody@fail.example"})
    emulator.run_until_idle()

    [dead] = emulator.queue("my-app-events-dlq").messages
    assert dead.body == {"type": "welcome-email", "email": "nobody@fail.example"}
    assert "did not take the e-mail" in dead.last_error


def test_an_address_that_fails_does_not_concern_the_others_in_its_batch(emulator):
    for email in ("ada@example.com", "nobody@fail.example", "grace@example.com"):
        emulator.post("/signup", data={"email": email})
    [delivery] = emulator.advance(seconds=5)
    assert [message.body["email"] for message in delivery.acked] == ["ada@example.com", "grace@example.com"]
    assert [message.body["email"] for message in delivery.retried] == ["nobody@fail.example"]

    emulator.run_until_idle()
    [dead] = emulator.queue("my-app-events-dlq").messages
    assert dead.body["email"] == "nobody@fail.example"
    assert "did not take the e-mail to nobody@fail.example" in dead.last_error


def test_what_is_no_address_is_refused(emulator):
    response = emulator.post("/signup", data={"email": "nobody"})
    assert response.status_code == 400
    assert emulator.queue("my-app-events").messages == []
