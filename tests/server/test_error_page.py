from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from emulator.base.failure import Failure
from emulator.base.secrets import Secrets
from emulator.server.error_page import content_policy, render_error_page


def _failure(tmp_path: Path) -> Failure:
    code = 'def fetch():\n    items = "<script>"\n    raise KeyError(items)\n\nfetch()\n'
    file = tmp_path / "entry.py"
    file.write_text(code)
    try:
        exec(compile(code, str(file), "exec"), {})
    except KeyError as error:
        return Failure.from_exception(error, tmp_path)
    raise AssertionError


def test_the_page_shows_message_frames_and_source_lines(tmp_path: Path) -> None:
    page = render_error_page(_failure(tmp_path), "The worker raised an exception", "GET http://localhost/x")
    assert "KeyError" in page
    assert "GET http://localhost/x" in page
    assert f"{tmp_path}/entry.py:3" in page
    [line] = re.findall(r'<div class="hit"><span class="number">3</span><code>(.*?)</code></div>', page)
    assert re.sub("<[^>]*>", "", line) == "    raise KeyError(items)"
    assert '<span class="k">raise</span>' in line


def test_what_comes_from_outside_is_escaped(tmp_path: Path) -> None:
    page = render_error_page(_failure(tmp_path), "heading", "GET http://localhost/<img onerror=x>")
    assert "<script>" not in page
    assert "<img" not in page


def test_the_innermost_frame_comes_first(tmp_path: Path) -> None:
    page = render_error_page(_failure(tmp_path), "heading", "GET /")
    assert page.index("entry.py:3") < page.index("entry.py:5")


def test_what_says_all_there_is_to_say_comes_first(tmp_path: Path) -> None:
    failure = replace(_failure(tmp_path), text="esbuild says <so>", verbatim=True)
    page = render_error_page(failure, "heading", "GET /")
    assert page.index('<pre class="said">esbuild says &lt;so&gt;</pre>') < page.index('class="source"')
    assert "Traceback as text" not in page


def test_the_page_marks_the_place_of_a_syntax_error(tmp_path: Path) -> None:
    file = tmp_path / "entry.py"
    file.write_text("x = (1,\n")
    try:
        compile(file.read_text(), str(file), "exec")
    except SyntaxError as error:
        failure = Failure.from_exception(error, tmp_path)
    page = render_error_page(failure, "heading", "GET /")
    assert '<span class="number">1</span><code>x = <mark>(</mark>1,</code></div>' in page


def test_the_page_shows_the_local_variables_of_each_frame_of_the_worker(tmp_path: Path) -> None:
    file = tmp_path / "entry.py"
    file.write_text('def fetch(items):\n    key = "k"\n    raise KeyError(items)\n')
    scope: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    with pytest.raises(KeyError) as caught:
        scope["fetch"]("<script>")
    page = render_error_page(Failure.from_exception(caught.value, tmp_path, Secrets()), "heading", "GET /")
    assert page.count("<summary>Local variables</summary>") == 1
    assert re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", page) == [
        ("items", "&#39;&lt;script&gt;&#39;"),
        ("key", "&#39;k&#39;"),
    ]
    assert "Local variables" not in render_error_page(_failure(tmp_path), "heading", "GET /")


def test_the_page_shows_what_was_behind_the_exception(tmp_path: Path) -> None:
    file = tmp_path / "entry.py"
    file.write_text(
        'def find(where):\n    raise OSError("<b>")\n\n'
        'def fetch():\n    try:\n        find("there")\n    except OSError:\n        raise KeyError("k")\n'
    )
    scope: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    with pytest.raises(KeyError) as caught:
        scope["fetch"]()
    page = render_error_page(Failure.from_exception(caught.value, tmp_path, Secrets()), "heading", "GET /")
    assert page.count("Behind it: OSError: &lt;b&gt;") == 1
    assert re.findall(r"entry\.py:(\d+)(?:</a>)? <span>in</span>", page) == ["8", "2"]
    assert re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", page) == [("where", "&#39;there&#39;")]


def test_the_page_links_to_the_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "code")
    page = render_error_page(_failure(tmp_path), "heading", "GET /")
    assert f'<a href="vscode://file{tmp_path}/entry.py:3">{tmp_path}/entry.py:3</a>' in page


def test_the_page_shows_the_headers_and_hides_the_secret_ones(tmp_path: Path) -> None:
    headers = [("accept", "text/html"), ("Cookie", "session=<secret>")]
    page = render_error_page(_failure(tmp_path), "heading", "GET /", headers)
    assert "<dd>text/html</dd>" in page
    assert "<dd><details><summary>hidden</summary>session=&lt;secret&gt;</details></dd>" in page


def test_the_page_reloads_itself_and_allows_nothing_else(tmp_path: Path) -> None:
    page = render_error_page(_failure(tmp_path), "heading", "GET /")
    [script] = re.findall(r"<script[^>]*>", page)
    assert script == '<script src="/cdn-cgi/emulator/live.js" type="module">'
    found = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert found is not None
    digest = b64encode(sha256(found[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'; script-src 'self'; connect-src 'self'" in content_policy()
    assert "style=" not in page
    assert "onclick" not in page
