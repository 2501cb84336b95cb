from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emulator.dashboard.asking import DOTS, as_curl, repeated, told_asked
from emulator.dashboard.story import RequestStory
from emulator.server.asked import KeptRequest

STORY = RequestStory(
    id="1",
    trace="2",
    kind="request",
    worker="shop",
    text="",
    outcome="200",
    at=1.0,
    duration=0.1,
    method="POST",
    path="/a?b=c",
)


def told(headers: bytes, body: bytes = b"", *, is_whole: bool = True) -> RequestStory:
    return msgspec.structs.replace(STORY, **told_asked(KeptRequest(headers, body, is_whole)))


@pytest.mark.parametrize(
    "name",
    [
        "Cookie",
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "X-Auth-Token",
        "x-hub-signature-256",
        "apikey",
        "x-key",
    ],
)
def test_what_lets_somebody_in_is_not_shown_and_yet_sent_again(name: str) -> None:
    asked = KeptRequest(f"{name}: abc\naccept: text/html\nhost: x\ncontent-length: 3".encode())
    story = told(asked.headers)
    assert list(story.headers)[:2] == [(name, DOTS), ("accept", "text/html")]
    assert "abc" not in as_curl(story, "http://x")
    assert repeated(asked) == [(name, "abc"), ("accept", "text/html")]


@pytest.mark.parametrize("name", ["accept", "content-type", "keep-alive", "monkey", "x-keyboard"])
def test_other_headers_are_shown(name: str) -> None:
    assert told(f"{name}: abc".encode()).headers == [(name, "abc")]


@pytest.mark.parametrize(
    ("asked", "body", "note"),
    [
        (KeptRequest(b"", b"hello"), "hello", ""),
        (KeptRequest(b"", b""), "", ""),
        (
            KeptRequest(b"", b"hello", is_whole=False),
            "hello",
            "the first 5 bytes; the rest was not read, or is too much to keep",
        ),
        (KeptRequest(b"", b"", is_whole=False), None, "the worker did not read the body"),
        (KeptRequest(b"", b"\xff\x00a"), "ff 00 61", "3 bytes that are no text, in hexadecimal"),
        (KeptRequest(b"", b"a\x00"), "61 00", "2 bytes that are no text, in hexadecimal"),
    ],
)
def test_a_body_is_told_with_what_there_is_to_say_of_it(asked: KeptRequest, body: str | None, note: str) -> None:
    assert told_asked(asked) == {"headers": [], "body": body, "body_note": note}


def test_the_command_for_curl_asks_for_the_same(tmp_path: Path) -> None:
    story = told(
        b"host: shop.localhost:8787\nx-note: it's `here` $HOME\nauthorization: Bearer x", b'it\'s\n"$HOME" `id`'
    )
    command = as_curl(story, "http://localhost:8787")
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\nfor each in "$@"; do printf "%s\\0" "$each"; done\n')
    curl.chmod(0o755)
    environment: dict[str, Any] = {"PATH": f"{tmp_path}:/usr/bin:/bin", "AUTHORIZATION": "Bearer mine", "HOME": "/"}
    run = subprocess.run(["sh", "-c", command], capture_output=True, check=True, env=environment, text=True)
    assert run.stdout.split("\0")[:-1] == [
        *("-X", "POST", "http://localhost:8787/a?b=c", "-H", "host: shop.localhost:8787"),
        *("-H", "x-note: it's `here` $HOME", "-H", "authorization: Bearer mine", "--data-raw", 'it\'s\n"$HOME" `id`'),
    ]
    assert shlex.split(command)[0] == "curl"


def test_the_command_for_curl_has_escapes_for_what_steers_a_terminal() -> None:
    body = "it's \\ a\x1b[2Jb\u202ec\r\nd"
    command = as_curl(told(b"", body.encode()), "http://localhost")
    assert all(char.isprintable() or char == "\n" for char in command)
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here to read it")
    script = f'curl() {{ printf "%s" "${{@: -1}}"; }}; {command}'
    run = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert run.stdout.decode() == body
