"""Static assets in the real program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.integration.conftest import Running


def test_a_project_without_code_is_served_and_a_change_is_seen_at_once(
    dev: Callable[..., Running], tmp_path: Path
) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public/index.html").write_text("<h1>one</h1>")
    (tmp_path / "wrangler.jsonc").write_text(json.dumps({"name": "site", "assets": {"directory": "public"}}))
    running = dev(tmp_path)
    assert "site  no code" in running.output
    assert "assets public  of site" in running.output
    assert "Warning" not in running.output.replace("Warning: wrangler.jsonc", "")
    with httpx.Client(base_url=running.url) as client:
        first = client.get("/")
        assert (first.status_code, first.text) == (200, "<h1>one</h1>")
        kept = client.get("/", headers={"if-none-match": first.headers["etag"]})
        assert (kept.status_code, kept.content) == (304, b"")
        head = client.head("/")
        assert (head.headers["content-length"], head.content) == ("12", b"")
        assert client.get("/index.html").headers["location"] == "/"
        assert client.post("/").status_code == 405
        (tmp_path / "public/index.html").write_text("<h1>another</h1>")
        assert client.get("/").text == "<h1>another</h1>"
        assert client.get("/absent").status_code == 404
    running.wait_for("GET /absent 404 Not Found")
    assert running.end() == 0
