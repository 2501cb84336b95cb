"""Tests of the whole worker: the form, the queue and the mail service at the other end."""

import re

import pytest

from emulator.testing import Response


@pytest.fixture
def mails(emulator):
    """The mails that the service has accepted. It is busy the first `mails.busy` times."""

    class Mails(list):
        busy = 0

    accepted = Mails()

    def service(call):
        if accepted.busy:
            accepted.busy -= 1
            return Response("busy", status=503)
        accepted.append(call.text)
        return {"ok": True}

    emulator.outbound.post("https://mail.example/send", service)
    return accepted


def send(emulator, **fields):
    """Fill in the form as a browser does: with the token that is in it, and in a cookie."""
    form = emulator.get("/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form).group(1)
    return emulator.post("/", data={"csrfmiddlewaretoken": token, **fields})


def test_the_form_is_shown(emulator):
    response = emulator.get("/")
    assert response.status_code == 200
    assert '<textarea name="text"' in response.text
    assert emulator.head("/").headers["content-length"] == str(len(response.content))


def test_a_message_is_accepted_at_once_and_mailed_later(emulator, mails):
    response = send(emulator, email="ada@example.com", text="Hello <there>")
    assert (response.status_code, response.headers["location"]) == (302, "/thanks/")
    assert "Thank you" in emulator.get("/thanks/").text
    assert mails == []

    emulator.advance(seconds=2)
    assert mails == ["ada@example.com writes:\n\nHello <there>\n\n"]


def test_a_busy_service_is_asked_again(emulator, mails):
    mails.busy = 2
    send(emulator, email="ada@example.com", text="Hello")
    emulator.run_until_idle()
    assert len(mails) == 1


@pytest.mark.parametrize("fields", [{"email": "nobody", "text": "x"}, {"email": "ada@example.com"}])
def test_what_is_no_message_is_shown_again_with_the_reason(emulator, fields):
    response = send(emulator, **fields)
    assert response.status_code == 400
    assert "errorlist" in response.text
    assert emulator.queue("contact-messages").messages == []


def test_a_form_of_another_site_is_refused(emulator):
    assert emulator.post("/", data={"email": "ada@example.com", "text": "x"}).status_code == 403


def test_there_is_nothing_else(emulator):
    assert emulator.get("/nowhere").status_code == 404
