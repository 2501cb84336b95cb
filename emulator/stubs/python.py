"""Type stubs for a Python worker: the runtime's own modules without what they do, and the class of `env`.

The stubs are made from the runtime that the emulator runs, so that they cannot differ from it. They are in one
directory, in which pyright and VS Code look by themselves, and mypy with the setting `mypy_path`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeGuard

import emulator_runtime.hosting
from emulator.bindings.open_kinds import in_force
from emulator.bindings.registry import KINDS
from emulator.config.model import WorkerConfig

DIRECTORY: Final = "typings"
"""Where the stubs are, beside the configuration: where pyright looks by default."""

ENV_FILE: Final = "workers/_env.pyi"
"""The one file that depends on the configuration."""

_RUNTIME: Final = Path(emulator_runtime.hosting.__file__).parent
_NAMES: Final = {"asgi": "workers.asgi", "js": "js", "pyodide": "pyodide", "workers": "workers", "wsgi": "workers.wsgi"}
"""The modules that worker code imports, and where they are in the runtime."""

_HEAD: Final = "# Made by `emulator types`; changes are lost.\n# mypy: ignore-errors\n"

_OWN: Final = {"WorkerEntrypoint", "env"}
"""Names of `workers` that are typed for the worker at hand."""

_ENTRYPOINT: Final = """
from emulator_runtime.workers import WorkerEntrypoint as _WorkerEntrypoint
from workers._env import Env as Env

class WorkerEntrypoint(_WorkerEntrypoint):
    ""\"Base of a worker's entrypoint; the one named `Default` handles events.""\"

    env: Env

env: Env
"""


def stubs(config: WorkerConfig) -> dict[str, str]:
    """The files of the directory: their paths in it, and their texts."""
    files = {f"emulator_runtime/{path}": text for path, text in _runtime_stubs()}
    for name, place in _NAMES.items():
        files.update(_public(name, place))
    files["workers/__init__.pyi"] += _ENTRYPOINT
    files[ENV_FILE] = env_stub(config)
    return files


def env_stub(config: WorkerConfig) -> str:
    """The class `Env` with the bindings of a worker, and the classes that they have."""
    imports = dict.fromkeys(("from typing import Any", "from emulator_runtime.values import AttributeDict"))
    classes: list[str] = []
    attributes: list[str] = []
    for kind, bindings in in_force(KINDS, config):
        if bindings:
            for node in ast.parse(kind.python_stub()).body:
                if isinstance(node, ast.Import | ast.ImportFrom):
                    imports[ast.unparse(node)] = None
                else:
                    classes.append(f"\n{ast.unparse(node)}\n")
        attributes += [
            f"    {name}: {kind.python_type(each)}" for name, each in bindings.items() if name.isidentifier()
        ]
    body = "\n".join(("\nclass Env:", *(attributes or ["    pass"]), ""))
    return f"{_HEAD}{chr(10).join(imports)}\n{''.join(classes)}{body}"


def _runtime_stubs() -> Iterator[tuple[str, str]]:
    for path in sorted(_RUNTIME.rglob("*.py")):
        yield (
            path.relative_to(_RUNTIME).with_suffix(".pyi").as_posix(),
            _HEAD + stub_of(path.read_text(encoding="utf-8")),
        )


def _public(name: str, place: str) -> Iterator[tuple[str, str]]:
    """The modules of a package as worker code imports them: each has the names of the runtime's."""
    root = _RUNTIME / place.replace(".", "/")
    paths = sorted(root.rglob("*.py")) if root.is_dir() else [root.with_suffix(".py")]
    for path in paths:
        inner = path.relative_to(root).with_suffix("") if root.is_dir() else Path("__init__")
        dotted = ".".join(part for part in (place, *inner.parts) if part != "__init__")
        names = _names(ast.parse(path.read_text(encoding="utf-8")))
        if dotted == "workers":
            names = [each for each in names if each not in _OWN]
        imports = "".join(f"from emulator_runtime.{dotted} import {each} as {each}\n" for each in names)
        yield f"{name}/{inner.as_posix()}.pyi" if root.is_dir() else f"{name}.pyi", _HEAD + imports


def _names(tree: ast.Module) -> list[str]:
    """What a module has for others: the names in `__all__`, else everything public that it defines."""
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [each.id for each in node.targets if isinstance(each, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def stub_of(source: str) -> str:
    """A module without what its functions do: signatures, docstrings, classes and constants."""
    tree = ast.parse(source)
    return ast.unparse(ast.fix_missing_locations(_Emptied().visit(tree))) + "\n"


class _Emptied(ast.NodeTransformer):
    """Removes the bodies of functions, but for the attributes that `__init__` gives to objects. The methods without a
    docstring are called by `ast`."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        known = {
            each.target.id
            for each in node.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        }
        known |= {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
        attributes = [
            ast.AnnAssign(ast.Name(name), annotation, None, 1)
            for name, annotation in _attributes(node).items()
            if name not in known
        ]
        self.generic_visit(node)
        beginning = 1 if ast.get_docstring(node) is not None else 0
        node.body[beginning:beginning] = attributes
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.body = _documentation(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        node.body = _documentation(node)
        return node


def _attributes(node: ast.ClassDef) -> dict[str, ast.expr]:
    """The public attributes that `__init__` sets, and their types: those of the parameters that they are set to, if
    they say no other."""
    found: dict[str, ast.expr] = {}
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            types = {each.arg: each.annotation for each in (*method.args.args, *method.args.kwonlyargs)}
            for step in ast.walk(method):
                targets: list[ast.expr]
                if isinstance(step, ast.AnnAssign):
                    targets, annotation = [step.target], step.annotation
                elif isinstance(step, ast.Assign):
                    known = types.get(step.value.id) if isinstance(step.value, ast.Name) else None
                    targets, annotation = step.targets, known or ast.Name("object")
                else:
                    continue
                found.update({target.attr: annotation for target in targets if _is_public_attribute(target)})
    return found


def _is_public_attribute(target: ast.expr) -> TypeGuard[ast.Attribute]:
    """Whether this is `self.NAME`, of a public name."""
    return (
        isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
        and not target.attr.startswith("_")
    )


def _documentation(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    rest: ast.stmt = ast.Expr(ast.Constant(...))
    return [node.body[0], rest] if ast.get_docstring(node, clean=False) is not None else [rest]
