"""A worker project as pywrangler lays it out runs as it is: `pyproject.toml`, `src/`, and `python_modules/` with the
packages that it installs for Pyodide."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import httpx

from tests.integration.conftest import Running

PROJECT = {
    "pyproject.toml": """
[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.12"
dependencies = ["fastapi"]

[dependency-groups]
dev = ["workers-py", "workers-runtime-sdk"]
""",
    "package.json": '{"name": "shop", "private": true, "scripts": {"dev": "uv run pywrangler dev"}}',
    "wrangler.jsonc": """{
  "$schema": "node_modules/wrangler/config-schema.json",
  "name": "shop",
  "main": "src/entry.py",
  "compatibility_date": "2026-11-01",
  "compatibility_flags": ["python_workers"],
  "vars": { "GREETING": "hello" },
  "observability": { "enabled": true }
}""",
    "src/entry.py": """
import importlib.util
from importlib.metadata import version

import asgi
import fastapi
import pydantic_core
from workers import WorkerEntrypoint

from shop.models import Order

app = fastapi.FastAPI()


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(app, request, self.env)


@app.post("/orders")
async def order(order: Order, request: fastapi.Request):
    return {"greeting": request.scope["env"].GREETING, "total": order.total}


@app.get("/where")
async def where():
    return {
        "fastapi": fastapi.__file__,
        "version": version("fastapi"),
        "pydantic_core": pydantic_core.__file__,
        "models": importlib.util.find_spec("shop.models").origin,
        "starlette": importlib.util.find_spec("starlette").origin,
    }
""",
    "src/shop/__init__.py": "",
    "src/shop/models.py": """
from pydantic import BaseModel


class Order(BaseModel):
    cents: list[int]

    @property
    def total(self) -> int:
        return sum(self.cents)
""",
    # What pywrangler puts beside the packages: its mark, the mark of an environment, and the SDK for Pyodide.
    "python_modules/.synced": "",
    "python_modules/pyvenv.cfg": "",
    "python_modules/workers/__init__.py": "import _pyodide_entrypoint_helper",
    "python_modules/asgi.py": "import _pyodide_entrypoint_helper",
    "python_modules/_workers_sdk_patch_loader.pth": "import _workers_sdk_patch_loader",
}
FOR_PYODIDE = "_pydantic_core.cpython-313-wasm32-emscripten.so"


def vendor(name: str, modules: Path) -> None:
    """Copy an installed distribution to `python_modules/`, its compiled files as those of Pyodide."""
    found = distribution(name)
    for file in found.files or ():
        target = modules / file
        if ".." in file.parts:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".so":
            target.with_name(FOR_PYODIDE).write_bytes(b"\0asm")
        else:
            shutil.copy2(file.locate(), target)


def test_a_project_of_pywrangler_runs_unchanged(
    tmp_path: Path, dev: Callable[..., Running], client: httpx.Client
) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    modules = tmp_path / "python_modules"
    for name in ("fastapi", "starlette", "pydantic", "pydantic_core"):
        vendor(name, modules)
    running = dev(tmp_path)
    warnings = [line for line in running.lines if line.startswith("Warning:") and "event loop" not in line]
    assert warnings == []
    answer = client.post(f"{running.url}/orders", json={"cents": [100, 250]})
    assert (answer.status_code, answer.json()) == (200, {"greeting": "hello", "total": 350})
    where = client.get(f"{running.url}/where").json()
    assert where.pop("pydantic_core") == str(distribution("pydantic_core").locate_file("pydantic_core/__init__.py"))
    assert where == {
        "fastapi": str(modules / "fastapi/__init__.py"),
        "version": distribution("fastapi").version,
        "models": str(tmp_path / "src/shop/models.py"),
        "starlette": str(modules / "starlette/__init__.py"),
    }
    assert running.end() == 0
