"""Run them with `pytest`. Crons run when a test moves time over them; `emulator.outbound` answers what is fetched."""

SITE = "https://example.com/"


def test_a_site_that_answers_is_left_alone(emulator):
    emulator.outbound.get(SITE, status=200)
    emulator.advance(seconds=3600)
    assert len(emulator.outbound.calls) == 12
    assert emulator.queue("my-watch-alerts").messages == []


def test_a_site_that_fails_makes_an_alert(emulator, capsys):
    emulator.outbound.get(SITE, status=503)
    emulator.advance(seconds=301)
    assert "ALERT https://example.com/: answers 503" in capsys.readouterr().out


def test_it_can_be_asked(emulator):
    emulator.outbound.get(SITE, status=200)
    assert emulator.get("/").text == "https://example.com/: is fine\n"
