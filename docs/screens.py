"""Makes the pictures of the dashboard, from the real program in a real browser: `make pictures` puts them into
docs/dashboard."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

import msgspec
from playwright.sync_api import sync_playwright

PICTURES: Final = Path(__file__).parent / "dashboard"
ROOT: Final = "/cdn-cgi/emulator"
WIDTH: Final = 1_200
HEIGHT: Final = 720

STORES: Final = """,
  "kv_namespaces": [{ "binding": "SESSIONS", "id": "sessions" }],
  "d1_databases": [{ "binding": "DB", "database_name": "people", "database_id": "people" }],
  "r2_buckets": [{ "binding": "FILES", "bucket_name": "attachments" }],
  "triggers": { "crons": ["0 3 * * 1"] }
}
"""
SCHEDULED: Final = """
    async def scheduled(self, controller, env, ctx):
        print("swept")

    async def queue("""
SQL: Final = "create table people (name, email); insert into people values ('Ada', 'ada@example.com'), ('Grace', '')"


class App:
    """The running program, with somebody who signs up."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, **form: str) -> None:
        urllib.request.urlopen(self.url + path, data=urllib.parse.urlencode(form).encode()).read()

    def ask(self, path: str) -> Any:
        return msgspec.json.decode(urllib.request.urlopen(f"{self.url}{ROOT}/api/{path}").read())


def start(emulator: str, app: Path) -> tuple[subprocess.Popen[str], App]:
    """The program, with what is to be seen."""
    configuration, entry = app / "wrangler.jsonc", app / "src/entry.py"
    text = re.sub(r'("max_batch_timeout": )5', r"\g<1>0", configuration.read_text())
    configuration.write_text(text.rstrip().removesuffix("}").rstrip() + STORES)
    entry.write_text(entry.read_text().replace("\n    async def queue(", SCHEDULED, 1))
    process = subprocess.Popen([emulator, "dev", "-p", "0", "--no-share"], cwd=app, stdout=subprocess.PIPE, text=True)

    def until(pattern: str) -> str:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(pattern, line):
                return found[0]
        raise AssertionError("the emulator has ended")

    made = App(until(r"http://[\d.]+:\d+"))
    urllib.request.urlopen(made.url + ROOT + "/").read()
    for person in ("ada@example.com", "grace@fail.example", "alan@example.com", "edsger@example.com"):
        made.post("/signup", email=person)
    until("To look inside")
    later = f"{ROOT}/queues/my-app-events/send"
    made.post(later, content_type="json", body='{"type": "welcome-email", "email": "later@example.com"}', delay="3600")
    made.post(f"{ROOT}/data/d1/people", text=SQL)
    return process, made


def take(app: App) -> None:
    """A picture of each page, light and dark."""
    dead = app.ask("messages?filter=state:dead")["messages"][0]["id"]
    requests = app.ask("requests?filter=path:/signup")["requests"]
    pages = {
        "overview": "/",
        "queues": "/queues",
        "queue": "/queues/my-app-events-dlq",
        "messages": "/messages",
        "message": f"/messages/{dead}",
        "requests": "/requests",
        "request": f"/requests/{requests[0]['id']}",
        "logs": "/logs",
        "worker": "/workers/my-app",
        "crons": "/crons",
        "data": "/data",
        "sql": "/data/d1/people?table=people",
    }
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for theme in ("light", "dark"):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
            for name, path in pages.items():
                page.goto(app.url + ROOT + path)
                page.locator(".state[data-is=live]").wait_for()
                page.screenshot(path=PICTURES / f"{name}-{theme}.png")
        browser.close()


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        emulator = str(Path(sys.argv[1]).absolute())
        subprocess.run([emulator, "init", "my-app"], cwd=name, check=True, capture_output=True)
        process, app = start(emulator, Path(name) / "my-app")
        try:
            take(app)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
