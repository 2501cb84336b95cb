"""Run them with `pytest`. The database, the bucket and the queue are real; only time is not: nothing here waits."""

import pytest

DAY = 24 * 3600


@pytest.fixture
def app(emulator):
    """The worker, with the tables of its database, and somebody who has signed in."""
    emulator.d1("DB").migrate()
    assert emulator.post("/api/sign-in", json={"email": "ada@example.com"}).status_code == 200
    return emulator


def add(app, title):
    return app.post("/api/todos", json={"title": title}).json()["id"]


def titles(app):
    return [todo["title"] for todo in app.get("/api/todos").json()["todos"]]


def test_the_page_is_there(emulator):
    page = emulator.get("/")
    assert "<title>To do</title>" in page.text
    assert emulator.get("/app.js").headers["content-type"].startswith("text/javascript")
    assert emulator.get("/nowhere").status_code == 404


def test_what_is_added_is_on_the_list(app):
    first, second = add(app, "Buy milk"), add(app, "Write <b>tests</b>")
    assert app.patch(f"/api/todos/{first}", json={"done": True}).json() == {"ok": True}
    assert app.get("/api/todos").json() == {
        "email": "ada@example.com",
        "todos": [
            {"id": first, "title": "Buy milk", "done": True, "attachment": None},
            {"id": second, "title": "Write <b>tests</b>", "done": False, "attachment": None},
        ],
    }
    assert app.delete(f"/api/todos/{first}").json() == {"ok": True}
    assert titles(app) == ["Write <b>tests</b>"]


def test_what_cannot_be_is_refused(app):
    assert app.post("/api/todos", json={"title": " "}).status_code == 400
    assert app.post("/api/todos", content="no JSON").status_code == 400
    assert app.patch("/api/todos/99", json={"done": True}).status_code == 404
    assert app.post("/api/sign-in", json={"email": "nobody"}).status_code == 400
    assert app.get("/api/nowhere").status_code == 404


def test_nobody_sees_the_list_of_another(app):
    number = add(app, "A secret")
    app.put(f"/api/todos/{number}/attachment", content=b"secret")
    app.post("/api/sign-in", json={"email": "grace@example.com"})
    assert titles(app) == []
    assert app.get(f"/api/todos/{number}/attachment").status_code == 404
    assert app.delete(f"/api/todos/{number}").status_code == 404


def test_a_session_ends_after_a_week(app):
    app.advance(seconds=6 * DAY)
    assert app.get("/api/todos").status_code == 200
    app.advance(seconds=DAY)
    assert app.get("/api/todos").status_code == 401


def test_who_signs_out_is_out(app):
    app.post("/api/sign-out")
    assert app.get("/api/todos").status_code == 401
    assert app.kv("SESSIONS").keys() == []


def test_a_file_is_attached_and_goes_with_its_todo(app):
    number = add(app, "Read this")
    picture = bytes(range(256)) * 1000
    headers = {"content-type": "image/png", "x-file-name": "caf%C3%A9.png"}
    assert app.put(f"/api/todos/{number}/attachment", content=picture, headers=headers).json() == {"ok": True}
    got = app.get(f"/api/todos/{number}/attachment")
    assert (got.content, got.headers["content-type"]) == (picture, "image/png")
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''caf%C3%A9.png"
    assert app.get("/api/todos").json()["todos"][0]["attachment"] == "caf%C3%A9.png"
    assert [kept.key for kept in app.r2("ATTACHMENTS").list()] == [f"ada@example.com/{number}"]
    app.delete(f"/api/todos/{number}")
    assert app.r2("ATTACHMENTS").list() == []


def test_the_list_comes_by_mail(app):
    add(app, "Buy milk")
    app.patch(f"/api/todos/{add(app, 'Sleep')}", json={"done": True})
    assert app.post("/api/mail").status_code == 202
    [delivery] = app.advance(seconds=2)  # max_batch_timeout passes
    assert [message.body["email"] for message in delivery.acked] == ["ada@example.com"]


def test_a_mail_that_keeps_failing_is_kept(app):
    app.post("/api/sign-in", json={"email": "nobody@fail.example"})
    app.post("/api/mail")
    app.run_until_idle()
    [dead] = app.queue("todo-mails-dlq").messages
    assert "did not take the e-mail to nobody@fail.example" in dead.last_error


def test_nothing_is_lost_when_the_database_is_in_trouble(app):
    add(app, "Buy milk")
    app.post("/api/mail")
    app.d1("DB").fail_next()
    [delivery] = app.advance(seconds=2)
    assert [message.attempts for message in delivery.retried] == [1]
    [delivery] = app.advance(seconds=62)  # retry_delay, and max_batch_timeout
    assert [message.attempts for message in delivery.acked] == [2]
