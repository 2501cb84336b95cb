"""The stubs for Python workers: what they say, that type checkers believe it, and that the runtime agrees."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.bindings.queue.kind import QUEUES
from emulator.bindings.queue.python import QueueBinding
from emulator.cli.init import create
from emulator.cli.templates import template_names
from emulator.config import WorkerConfig
from emulator.stubs.files import outdated, refresh, types_of, write
from emulator.stubs.python import env_stub, stub_of, stubs
from tests.docs.blocks import ROOT
from tests.support.configs import load_config
from tests.support.node import find as find_node
from tests.support.node_tools import NODE_MODULES, needs_node, tool

_CACHE = ROOT / ".mypy_cache/tests"
"""What mypy keeps of the packages that every project imports, from test to test."""

WORKER = """\
from workers import MessageBatch, Request, Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        await self.env.EVENTS.send({"type": "welcome-email"}, delaySeconds=30)
        await fetch("https://example.com/", method="POST")
        return Response(self.env.SENDER.upper() + request.url, status=201)

    async def queue(self, batch: MessageBatch, env: None, ctx: None) -> None:
        for message in batch.messages:
            print(message.body["type"], message.attempts)
            message.retry(delay_seconds=30)
"""

WRONG = {
    "self.env.EVENTS.send": "self.env.EVNTS.send",
    "self.env.SENDER.upper()": "self.env.SENDER.uper()",
    "method=": "metod=",
    "message.retry": "message.rety",
    "delaySeconds=30": 'delaySeconds="soon"',
    "batch.messages": "batch.mesages",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project from a template, with its types."""
    create(tmp_path / "shop", "python-queue", "shop")
    write(types_of(config_of(tmp_path / "shop")))
    return tmp_path / "shop"


def config_of(project: Path) -> WorkerConfig:
    return load_config(project / "wrangler.jsonc")


def mypy(project: Path, file: str) -> list[str]:
    """The lines of errors."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--hide-error-context",
        "--cache-dir",
        str(_CACHE),
        file,
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def pyright(project: Path, file: str) -> list[str]:
    """The lines of errors and warnings."""
    command = [
        find_node() or "node",
        str(tool(NODE_MODULES / "pyright/index.js")),
        "--pythonpath",
        sys.executable,
        file,
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if re.search(r" - (error|warning)", line)]


def strict(project: Path) -> Path:
    """The project with pyright's strictest settings."""
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text().replace("[tool.pyright]", '[tool.pyright]\ntypeCheckingMode = "strict"'))
    return project


def test_mypy_takes_a_typed_worker_and_finds_its_typos(project: Path) -> None:
    (project / "src/entry.py").write_text(WORKER)
    assert mypy(project, "src/entry.py") == []
    text = WORKER
    for right, wrong in WRONG.items():
        assert right in text
        text = text.replace(right, wrong)
    (project / "src/entry.py").write_text(text)
    errors = mypy(project, "src/entry.py")
    assert {int(line.split(":")[1]) for line in errors if ": error:" in line} == {6, 7, 8, 11}
    assert any('"Env" has no attribute "EVNTS"' in line for line in errors)


@needs_node
def test_pyright_takes_a_typed_worker_and_finds_its_typos(project: Path) -> None:
    (strict(project) / "src/entry.py").write_text(WORKER)
    for number, (right, wrong) in enumerate(WRONG.items()):
        (project / f"src/wrong{number}.py").write_text(WORKER.replace(right, wrong, 1))
    named = {Path(line.split(":")[0]).stem for line in pyright(project, "src")}
    assert named == {f"wrong{number}" for number in range(len(WRONG))}


def test_every_module_that_workers_import_has_a_stub(project: Path) -> None:
    (project / "src/entry.py").write_text(
        "import asgi\nimport js\nimport wsgi\nimport pyodide.code\nfrom js import Object, console\n"
        "from pyodide.ffi import JsException, to_js\nfrom workers import Headers, env, handler, wait_until\n"
        "from workers.types import Body\nconsole.log(str(to_js({})), env.SENDER)\n"
    )
    assert mypy(project, "src/entry.py") == []


def test_env_has_the_bindings_of_the_configuration(project: Path) -> None:
    (project / ".dev.vars").write_text("API_KEY=secret")
    text = (project / "wrangler.jsonc").read_text()
    more = '"LIMIT": 3, "RATE": 0.5, "ON": true, "LIST": [1], "OPTIONS": {"a": 1}, "NONE": null, "SENDER":'
    (project / "wrangler.jsonc").write_text(text.replace('"SENDER":', more))
    stub = env_stub(config_of(project))
    assert stub.endswith(
        "class Env:\n    LIMIT: int\n    RATE: float\n    ON: bool\n    LIST: list[Any]\n    OPTIONS: AttributeDict\n"
        "    NONE: None\n    SENDER: str\n    API_KEY: str\n    EVENTS: Queue\n"
    )
    assert "secret" not in stub


def test_the_binding_of_a_queue_has_the_methods_of_its_stub() -> None:
    [declared] = [
        node for node in ast.parse(QUEUES.python_stub()).body if isinstance(node, ast.ClassDef) and node.name == "Queue"
    ]
    methods = {node.name: node for node in declared.body if isinstance(node, ast.AsyncFunctionDef)}
    public = {name for name in vars(QueueBinding) if not name.startswith("_")}
    assert methods.keys() == public
    for name, node in methods.items():
        real = inspect.signature(getattr(QueueBinding, name)).parameters.values()
        positional = [each.name for each in real if each.kind is each.POSITIONAL_ONLY]
        assert [each.arg for each in node.args.posonlyargs] == positional or not positional


def test_the_names_of_the_stubs_are_those_of_the_runtime(project: Path) -> None:
    files = stubs(config_of(project))
    for path, text in files.items():
        top, _, rest = path.removesuffix(".pyi").replace("/__init__", "").partition("/")
        if top in ("emulator_runtime", "asgi", "wsgi") or path == "workers/_env.pyi":
            continue
        module = importlib.import_module(".".join(("emulator_runtime", top, *rest.split("/"))).rstrip("."))
        imported = re.findall(r"^from emulator_runtime\.\S+ import (\w+) as \1$", text, re.MULTILINE)
        assert [name for name in imported if not hasattr(module, name)] == [], path


def test_a_stub_keeps_signatures_docstrings_and_attributes() -> None:
    source = '''
class Message:
    """A message."""
    id: str
    def __init__(self, id: str, body: bytes, *, attempts: int = 1) -> None:
        """Make it."""
        self.id = id
        self.body = body
        self.attempts: int = attempts
        self._hidden = 1
    async def ack(self) -> None:
        self._hidden += 1
'''
    assert stub_of(source) == (
        'class Message:\n    """A message."""\n    body: bytes\n    attempts: int\n    id: str\n\n'
        "    def __init__(self, id: str, body: bytes, *, attempts: int=1) -> None:\n"
        '        """Make it."""\n        ...\n\n    async def ack(self) -> None:\n        ...\n'
    )


def test_only_what_is_there_follows_the_configuration(tmp_path: Path) -> None:
    create(tmp_path / "shop", "python-queue", "shop")
    assert refresh(config_of(tmp_path / "shop")) == []
    files = types_of(config_of(tmp_path / "shop"))
    assert len(write(files)) == len(files) == len(set(files) - set(outdated(files)))
    configuration = tmp_path / "shop/wrangler.jsonc"
    configuration.write_text(configuration.read_text().replace('"EVENTS"', '"MAILS"'))
    [changed] = refresh(config_of(tmp_path / "shop"))
    assert "MAILS: Queue" in changed.read_text()
    assert outdated(types_of(config_of(tmp_path / "shop"))) == []


PYTHON_TEMPLATES = [name for name in template_names() if name.startswith("python")]


@pytest.mark.parametrize("template", PYTHON_TEMPLATES)
def test_mypy_takes_the_templates(template: str, tmp_path: Path) -> None:
    create(tmp_path / "shop", template, "shop")
    write(types_of(config_of(tmp_path / "shop")))
    assert mypy(tmp_path / "shop", "src") == []


@needs_node
@pytest.mark.parametrize("template", PYTHON_TEMPLATES)
def test_pyright_takes_the_templates(template: str, tmp_path: Path) -> None:
    create(tmp_path / "shop", template, "shop")
    write(types_of(config_of(tmp_path / "shop")))
    assert pyright(strict(tmp_path / "shop"), "src") == []
