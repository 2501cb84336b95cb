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
from playwright.sync_api import Page, sync_playwright

PICTURES: Final = Path(__file__).parent / "dashboard"
ROOT: Final = "/cdn-cgi/emulator"
WIDTH: Final = 1_200
HEIGHT: Final = 720
NARROW: Final = 380

STORES: Final = """,
  "kv_namespaces": [{ "binding": "SESSIONS", "id": "sessions" }],
  "d1_databases": [{ "binding": "DB", "database_name": "people", "database_id": "people" }],
  "r2_buckets": [{ "binding": "FILES", "bucket_name": "attachments" }],
  "analytics_engine_datasets": [{ "binding": "VISITS", "dataset": "visits" }],
  "send_email": [{ "name": "MAIL" }],
  "triggers": { "crons": ["0 3 * * 1"] }
}
"""
SCHEDULED: Final = """
    async def scheduled(self, controller, env, ctx):
        await self.env.SESSIONS.put("session:ada", '{"user": "ada", "since": "2026-11-01"}')
        await self.env.SESSIONS.put("session:grace", '{"user": "grace", "since": "2026-11-02"}', expirationTtl=3600)
        await self.env.FILES.put("invoices/2026-11.txt", "1 typewriter, 120.00")
        self.env.VISITS.writeDataPoint(indexes=["ada"], blobs=["London", "/signup"], doubles=[0.012])
        self.env.VISITS.writeDataPoint(indexes=["grace"], blobs=["New York", "/signup"], doubles=[0.034])
        mail = {"from": "shop@example.com", "to": "ada@example.com", "subject": "Your week", "text": "2 sign-ups."}
        await self.env.MAIL.send(mail)
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
    made.post(f"{ROOT}/workers/my-app/cron", cron="0 3 * * 1")
    return process, made


def shoot(page: Page, file: Path) -> None:
    """A picture of what is in the window, once it is live."""
    page.locator(".state[data-is=live]").wait_for()
    page.screenshot(path=file)


def take(app: App, directory: Path) -> None:
    """A picture of each page, light and dark, and of some on a telephone."""
    dead = app.ask("messages?filter=state:dead")["messages"][0]["id"]
    [request, *_] = app.ask("requests?filter=path:/signup")["requests"]
    pages = {
        "overview": "/",
        "queues": "/queues",
        "queue": "/queues/my-app-events-dlq",
        "messages": "/messages",
        "message": f"/messages/{dead}",
        "requests": "/requests",
        "request": f"/requests/{request['id']}",
        "logs": "/logs",
        "search": "/search?q=grace",
        "workers": "/workers",
        "worker": "/workers/my-app",
        "crons": "/crons",
        "data": "/data",
        "kv": "/data/kv/sessions?key=session:ada",
        "r2": "/data/r2/attachments?key=invoices/2026-11.txt",
        "sql": "/data/d1/people?table=people",
        "analytics": "/data/analytics/visits",
        "outbox": "/data/email/outbox?id=1",
    }
    chromium = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for theme in ("light", "dark"):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
            for name, path in pages.items():
                page.goto(app.url + ROOT + path)
                shoot(page, directory / f"{name}-{theme}.png")
            page.goto(app.url + ROOT + pages["message"])
            page.get_by_role("button", name="Rehearse").click()
            page.locator("h1", has_text="Rehearsal").wait_for()
            shoot(page, directory / f"rehearsal-{theme}.png")
            page.set_viewport_size({"width": NARROW, "height": HEIGHT})
            for name in ("overview", "messages", "message"):
                page.goto(app.url + ROOT + pages[name])
                shoot(page, directory / f"{name}-narrow-{theme}.png")
        browser.close()


def main() -> None:
    """Make the pictures with the emulator that is named, in docs/dashboard or another directory that is named."""
    directory = Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURES
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        emulator = str(Path(sys.argv[1]).absolute())
        subprocess.run([emulator, "init", "my-app"], cwd=name, check=True, capture_output=True)
        process, app = start(emulator, Path(name) / "my-app")
        try:
            take(app, directory)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
