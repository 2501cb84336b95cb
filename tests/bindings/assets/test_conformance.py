"""The same requests to sites of ours and of `workerd serve`, which runs Cloudflare's own asset worker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.testing import Emulator
from tests.support.node_tools import ESBUILD, WORKERD, needs_node, tool

pytestmark = [needs_node, pytest.mark.usefixtures("javascript")]

FILES = {
    "index.html": "home",
    "404.html": "nothing here",
    "page.html": "a page",
    "about/index.html": "about",
    "both.html": "both, the page",
    "both/index.html": "both, the directory",
    "docs/404.html": "nothing in docs",
    "docs/deep/x.txt": "text",
    "app.js": "let x;",
    "style.css": "a{}",
    "data.json": "{}",
    "logo.svg": "<svg/>",
    "noending": "plain",
    "a b é.html": "odd name",
    "file.html.html": "twice",
    "sub/index": "named index",
    "p.q/r.html": "dots",
}
PATHS = [
    *("/", "/index", "/index.html", "/index/", "/page", "/page/", "/page.html", "/page.html/", "/page/index"),
    *("/page/index.html", "/about", "/about/", "/about.html", "/about/index", "/about/index.html", "/about/index/"),
    *("/both", "/both/", "/both.html", "/both/index", "/both/index.html", "/nothing", "/nothing/", "/docs/nothing"),
    *("/docs/deep/nothing", "/docs/deep/x.txt", "/docs/", "/app.js", "/app.js/", "/style.css", "/data.json"),
    *("/logo.svg", "/noending", "/noending/", "/a%20b%20%C3%A9", "/a%20b%20%c3%a9", "/a b é.html", "/file.html"),
    *("/file", "/file.html.html", "/sub/index", "/sub/", "/sub", "/p.q/r", "/p%2eq/r", "/page?x=1", "/page.html?x=1&y"),
    *("//page", "/./page", "/about//index.html", "/%2e%2e/secret", "/page%00", "/PAGE"),
]
HTML = ("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none")
NOT_FOUND = ("none", "404-page", "single-page-application")


def site(directory: Path, **assets: Any) -> Path:
    for name, content in FILES.items():
        (directory / "public" / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / "public" / name).write_text(content)
    described = {"name": "site", "compatibility_date": "2026-04-01", "assets": {"directory": "./public", **assets}}
    (directory / "wrangler.jsonc").write_text(json.dumps(described))
    return directory / "wrangler.jsonc"


@contextmanager
def workerd(path: Path) -> Iterator[httpx.Client]:
    """A client of `workerd serve`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [str(tool(WORKERD)), "serve", "--experimental", path.name, f"--socket-addr=http=127.0.0.1:{port}"]
    environment = {**os.environ, "PATH": f"{tool(ESBUILD).parent}:{os.environ['PATH']}"}
    with subprocess.Popen(command, cwd=path.parent, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                while True:
                    try:
                        client.get("/")
                    except httpx.TransportError:
                        assert time.monotonic() < deadline
                        assert process.poll() is None
                        continue
                    break
                yield client
        finally:
            process.kill()


def shape(response: httpx.Response) -> dict[str, Any]:
    """What is compared of an answer."""
    headers = {name: response.headers.get(name) for name in ("location", "content-type", "cache-control", "x-made")}
    return {"status": response.status_code, "body": response.text, "etag": "etag" in response.headers, **headers}


@pytest.mark.parametrize(("html", "not_found"), list(product(HTML, NOT_FOUND)))
def test_paths_lead_where_they_do_in_production(tmp_path: Path, html: str, not_found: str) -> None:
    path = site(tmp_path, html_handling=html, not_found_handling=not_found)
    with workerd(path) as theirs, Emulator(path) as ours:
        for each in PATHS:
            assert shape(ours.get(each)) == shape(theirs.get(each)), each


REDIRECTS = """\
# comment
/old /page 301
/moved/* /about/:splat
/users/:id/files/* https://example.com/:id/:splat 308
/proxied /page 200
/to-nothing /nowhere 200
/query /page?own=1
/frag /page#part 307
"""
HEADERS = """\
/*
  X-Made: by *
/page
  X-Made: twice
  Cache-Control: no-store
/docs/:what/*
  X-Made: :what and :splat
/style.css
  ! ETag
"""
RULED = [
    *("/old", "/old?x=1", "/moved/a/b", "/moved/", "/users/7/files/a/b?c=d", "/proxied", "/to-nothing", "/query?x=1"),
    *("/frag?x=1", "/page", "/docs/deep/x.txt", "/style.css", "/nothing", "/"),
]


def test_redirects_and_headers_are_as_in_production(tmp_path: Path) -> None:
    path = site(tmp_path, not_found_handling="404-page")
    (tmp_path / "public/_redirects").write_text(REDIRECTS)
    (tmp_path / "public/_headers").write_text(HEADERS)
    with workerd(path) as theirs, Emulator(path) as ours:
        for each in RULED:
            assert shape(ours.get(each)) == shape(theirs.get(each)), each


CODE = """
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/via/")) {
      const answer = await env.ASSETS.fetch(new Request(new URL(url.pathname.slice(4), url), request));
      return new Response(`${answer.status} ${answer.headers.get("content-type")} ${await answer.text()}`);
    }
    return new Response(`code ${request.method} ${url.pathname}`);
  },
};
"""
PYTHON = """
from urllib.parse import urlsplit
from workers import Request, Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = urlsplit(request.url).path
        if path.startswith("/via/"):
            answer = await self.env.ASSETS.fetch("http://any" + path[4:], method=request.method, redirect="manual")
            return Response(f"{answer.status} {answer.headers.get('content-type') or 'null'} {await answer.text()}")
        return Response(f"code {request.method} {path}")
"""
ASKED: list[tuple[str, str, dict[str, str]]] = [
    *(("GET", path, {}) for path in ("/", "/page", "/page.html", "/nothing", "/api/x", "/api/docs", "/docs/nothing")),
    *(("GET", path, {"sec-fetch-mode": "navigate"}) for path in ("/nothing", "/api/x", "/page")),
    *((method, path, {}) for method in ("HEAD", "POST", "OPTIONS") for path in ("/page", "/nothing")),
    *(("GET", path, {}) for path in ("/via/page", "/via/app.js", "/via/nothing")),
    ("POST", "/via/page", {}),
    ("GET", "/page", {"range": "bytes=0-1"}),
    ("GET", "/page", {"authorization": "x"}),
]


@pytest.mark.parametrize("first", [False, True, ["/api/*", "!/api/docs"]], ids=str)
@pytest.mark.parametrize("not_found", NOT_FOUND)
def test_code_and_assets_share_the_paths_as_in_production(tmp_path: Path, first: Any, not_found: str) -> None:
    path = site(tmp_path, binding="ASSETS", not_found_handling=not_found, run_worker_first=first)
    (tmp_path / "index.js").write_text(CODE)
    (tmp_path / "entry.py").write_text(PYTHON)
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "main": "index.js"}))
    python = tmp_path / "wrangler.json"
    python.write_text(json.dumps({**described, "main": "entry.py", "compatibility_flags": ["python_workers"]}))
    with workerd(path) as theirs, Emulator(path) as javascript, Emulator(python) as in_python:
        for method, each, headers in ASKED:
            expected = shape(theirs.request(method, each, headers=headers))
            assert shape(javascript.request(method, each, headers=headers)) == expected, (method, each, headers)
            found = shape(in_python.request(method, each, headers=headers))
            assert found | {"content-type": None} == expected | {"content-type": None}, (method, each, headers)
