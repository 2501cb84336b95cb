"""Workers that are made with Flask, Django and FastAPI, in the real process."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import httpx

from tests.integration.conftest import write_worker

if TYPE_CHECKING:
    from tests.integration.conftest import Running

Dev = Callable[..., "Running"]

FLAGS: dict[str, Any] = {"compatibility_flags": ["python_workers"]}


def queue(name: str) -> dict[str, Any]:
    return {
        "producers": [{"binding": "JOBS", "queue": name}],
        "consumers": [{"queue": name, "max_batch_timeout": 0}],
    }


FLASK = """
    import asyncio
    from flask import Flask, Response, jsonify, request, stream_with_context
    from pyodide.ffi import run_sync
    from workers import WorkerEntrypoint, wsgi

    app = Flask(__name__)

    @app.get("/")
    def index():
        return f"hello {request.args.get('name', 'world')}"

    @app.post("/jobs")
    def jobs():
        run_sync(request.environ["workers.env"].JOBS.send(request.get_json()))
        response = jsonify(accepted=True)
        response.status_code = 202
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.post("/upload")
    def upload():
        return str(len(request.files["file"].read()))

    @app.get("/slow")
    def slow():
        asyncio.get_event_loop().run_until_complete(asyncio.sleep(0.2))
        return "slow"

    @app.get("/stream")
    def stream():
        def chunks():
            for number in range(3):
                run_sync(asyncio.sleep(0))
                yield f"{number} {request.path}\\n"
        return Response(stream_with_context(chunks()))

    @app.get("/fails")
    def fails():
        raise ZeroDivisionError("in a view")

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return await wsgi.fetch(app, request, self.env)

        async def queue(self, batch, env, ctx):
            for message in batch.messages:
                print("job", message.body)
"""


def test_flask(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write_worker(tmp_path, FLASK, queues=queue("jobs"), **FLAGS)
    running = dev(tmp_path)
    assert client.get(f"{running.url}/?name=Ada").text == "hello Ada"
    head = client.head(f"{running.url}/")
    assert (head.content, head.headers["content-length"]) == (b"", "11")
    accepted = client.post(f"{running.url}/jobs", json={"id": 1})
    assert (accepted.status_code, accepted.json()) == (202, {"accepted": True})
    assert dict(accepted.cookies) == {"a": "1", "b": "2"}
    running.wait_for(r"job \{'id': 1\}")
    assert client.post(f"{running.url}/upload", files={"file": b"x" * 300_000}).text == "300000"
    assert client.get(f"{running.url}/stream").text == "0 /stream\n1 /stream\n2 /stream\n"
    assert client.get(f"{running.url}/fails").status_code == 500
    running.wait_for(r"ZeroDivisionError: in a view")
    assert client.get(f"{running.url}/nowhere").status_code == 404
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: client.get(f"{running.url}/slow").text, range(8))) == {"slow"}
    assert time.monotonic() - begun < 8 * 0.2  # they wait side by side
    assert running.end() == 0


def write_django(directory: Path, greeting: str) -> None:
    """A project with a model, template tags, and a view that waits."""
    write_worker(
        directory,
        """
        import os

        os.environ["DJANGO_SETTINGS_MODULE"] = "site_.settings"

        from django.core.wsgi import get_wsgi_application
        from workers import WorkerEntrypoint, wsgi

        application = get_wsgi_application()


        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                return await wsgi.fetch(application, request, self.env)

            async def queue(self, batch, env, ctx):
                for message in batch.messages:
                    print("job", message.body)
        """,
        name=directory.name,
        queues=queue(f"{directory.name}-jobs"),
        **FLAGS,
    )
    files = {
        "__init__.py": "",
        "settings.py": """
            SECRET_KEY = "x"
            ALLOWED_HOSTS = ["*"]
            ROOT_URLCONF = "site_.urls"
            INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "site_"]
            TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
            """,
        "models.py": """
            from django.contrib.auth.models import User
            from django.db import models

            class Note(models.Model):
                author = models.ForeignKey(User, on_delete=models.CASCADE)
            """,
        "templatetags/__init__.py": "",
        "templatetags/loud.py": """
            from django import template

            register = template.Library()

            @register.filter
            def loud(value):
                return value.upper()
            """,
        "templates/index.html": "{% load loud i18n %}{{ greeting|loud }}",
        "urls.py": """
            from django.urls import path
            from site_ import views

            urlpatterns = [path("", views.index), path("jobs", views.jobs), path("fails", views.fails)]
            """,
        "views.py": f"""
            from django.http import JsonResponse
            from django.shortcuts import render
            from pyodide.ffi import run_sync

            async def send(environ):
                await environ["workers.env"].JOBS.send("from a view")
                return "sent"

            def index(request):
                return render(request, "index.html", {{"greeting": "{greeting}"}})

            def jobs(request):
                from site_.models import Note
                return JsonResponse({{"state": run_sync(send(request.environ)), "table": Note._meta.db_table}})

            def fails(request):
                raise ZeroDivisionError("in a view")
            """,
    }
    for name, text in files.items():
        path = directory / "src" / "site_" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))


def test_django(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    project = tmp_path / "red"
    write_django(project, "hello")
    running = dev(project)
    assert client.get(running.url).text == "HELLO"
    assert client.get(f"{running.url}/jobs").json() == {"state": "sent", "table": "site__note"}
    running.wait_for("job from a view")
    assert client.get(f"{running.url}/fails").status_code == 500
    running.wait_for("ZeroDivisionError: in a view")
    views = project / "src/site_/views.py"
    views.write_text(views.read_text().replace('"hello"', '"hello again"'))
    running.wait_for("Reloaded")
    assert client.get(running.url).text == "HELLO AGAIN"
    settings = project / "src/site_/settings.py"
    text = settings.read_text()
    settings.write_text(f"{text}\nnonsense(")
    running.wait_for("SyntaxError")
    settings.write_text(text)
    running.wait_for("Reloaded")
    assert client.get(running.url).text == "HELLO AGAIN"
    assert running.end() == 0


def test_two_django_workers_beside_each_other(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    for name in ("red", "blue"):
        write_django(tmp_path / name, f"{name} hello")
    running = dev(tmp_path, "-c", "red/wrangler.jsonc", "-c", "blue/wrangler.jsonc")
    port = running.url.rpartition(":")[2]
    for name in ("red", "blue", "red"):
        text = client.get(f"http://127.0.0.1:{port}", headers={"host": f"{name}.localhost:{port}"}).text
        assert text == f"{name.upper()} HELLO"
    assert running.end() == 0


FASTAPI = """
    from fastapi import BackgroundTasks, FastAPI, Request
    from workers import WorkerEntrypoint, asgi
    from pyodide.ffi import run_sync

    app = FastAPI()

    @app.get("/")
    async def index(name: str = "world"):
        return {"hello": name}

    @app.post("/jobs", status_code=202)
    async def jobs(request: Request, tasks: BackgroundTasks):
        tasks.add_task(print, "background task")
        await request.scope["env"].JOBS.send(await request.json())
        return {"accepted": True}

    @app.get("/plain")
    def plain(request: Request):
        run_sync(request.scope["env"].JOBS.send("from a thread"))
        return "waited"

    @app.get("/fails")
    async def fails():
        raise ZeroDivisionError("in a route")

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return await asgi.fetch(app, request, self.env)

        async def queue(self, batch, env, ctx):
            for message in batch.messages:
                print("job", message.body)
"""


def test_fastapi(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write_worker(tmp_path, FASTAPI, queues=queue("jobs"), **FLAGS)
    running = dev(tmp_path)
    assert client.get(f"{running.url}/?name=Ada").json() == {"hello": "Ada"}
    assert client.post(f"{running.url}/jobs", json={"id": 1}).status_code == 202
    running.wait_for("background task")
    assert client.get(f"{running.url}/plain").json() == "waited"
    running.wait_for("job from a thread")
    failed = client.get(f"{running.url}/fails")
    assert (failed.status_code, failed.text) == (500, "Internal Server Error")
    running.wait_for("Exception in ASGI application after response started")
    running.wait_for("ZeroDivisionError: in a route")
    assert running.end() == 0
