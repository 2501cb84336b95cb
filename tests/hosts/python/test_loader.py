from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import linecache
import pickle
import sys
import traceback
import typing
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import emulator_runtime.workers
from emulator.base.errors import WorkerLoadError
from emulator.base.failure import Failure, plain_name
from emulator.hosts.python.loader import WorkerScope, modules_of
from emulator_runtime.invocation import Invocation, current

if TYPE_CHECKING:
    from tests.hosts.python.support import Loading, WriteFiles


async def no_way_out(_request: Any) -> Any:
    raise AssertionError


LAZY = """\
    import utils
    NAME = utils.NAME
    def lazy():
        import lazy_utils
        return lazy_utils.NAME
    """


def test_two_workers_with_modules_of_the_same_names_each_see_their_own(write: WriteFiles, loading: Loading) -> None:
    root = write(
        {
            "a/entry.py": LAZY,
            "a/utils.py": "NAME = 'a'",
            "a/lazy_utils.py": "NAME = 'lazy a'",
            "b/entry.py": LAZY,
            "b/utils.py": "NAME = 'b'",
            "b/lazy_utils.py": "NAME = 'lazy b'",
        }
    )
    a, b = loading.load(root / "a/entry.py", "a"), loading.load(root / "b/entry.py", "b")
    assert (a.NAME, b.NAME) == ("a", "b")
    assert (a.lazy(), b.lazy()) == ("lazy a", "lazy b")
    assert "utils" not in sys.modules


def test_a_worker_does_not_find_what_only_another_one_has(write: WriteFiles, loading: Loading) -> None:
    root = write({"a/entry.py": "import only_a", "a/only_a.py": "", "b/entry.py": "import only_a"})
    loading.load(root / "a/entry.py", "a")
    with pytest.raises(ModuleNotFoundError, match="No module named 'only_a'"):
        loading.load(root / "b/entry.py", "b")


def test_versions_share_no_state_and_old_code_goes_on_importing_its_own_modules(
    write: WriteFiles, loading: Loading
) -> None:
    root = write(
        {"entry.py": "import state\ndef late():\n    import state\n    return state.LIST", "state.py": "LIST = []"}
    )
    old = loading.load(root / "entry.py")
    old.state.LIST.append("old")
    new = loading.load(root / "entry.py")
    assert new.late() == []
    assert old.late() == ["old"]


def test_two_saves_in_the_same_second_with_equal_sizes_run_the_code_that_was_saved_last(
    write: WriteFiles, loading: Loading
) -> None:
    for digit in "1234":
        root = write({"entry.py": f"from values import VALUE\nOWN = {digit}", "values.py": f"VALUE = {digit}"})
        module = loading.load(root / "entry.py")
        assert (int(digit), int(digit)) == (module.OWN, module.VALUE)


def test_own_modules_leave_no_cache_in_the_users_directory(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "import pkg.sub, utils", "pkg/__init__.py": "", "pkg/sub.py": "", "utils.py": ""})
    loading.load(root / "entry.py")
    assert not list(root.rglob("__pycache__"))


IMPORT_FORMS = {
    "entry.py": """\
        import one
        import pkg.sub
        import pkg.deep.leaf as leaf
        import pkg.sub as renamed
        from pkg import sub as from_package
        from pkg import VALUE
        from pkg.sub import *
        from pkg.relative import FROM_PARENT, sibling, leaf as relative_leaf
        from namespace import inside
        import namespace.inside
        import circular_a
        TOP = pkg.__name__
        """,
    "one.py": "NAME = 'one'",
    "pkg/__init__.py": "VALUE = 1\n__all__ = ['sub']",
    "pkg/sub.py": "__all__ = ['STAR']\nSTAR = 'star'",
    "pkg/relative.py": """\
        from . import VALUE as FROM_PARENT
        from . import sub as sibling
        from .deep import leaf
        from .deep.leaf import LEAF
        """,
    "pkg/deep/__init__.py": "",
    "pkg/deep/leaf.py": "from .. import VALUE\nfrom ..sub import STAR\nLEAF = STAR",
    "namespace/inside.py": "INSIDE = True",
    "circular_a.py": "import circular_b\nA = 'a'\ndef b():\n    return circular_b.B",
    "circular_b.py": "import circular_a\nB = 'b'\ndef a():\n    return circular_a.A",
}


def test_every_form_of_import_gives_the_workers_own_modules(write: WriteFiles, loading: Loading) -> None:
    root = write(IMPORT_FORMS)
    version = loading.version(root / "entry.py")
    module = version.load()
    assert module.one.NAME == "one"
    assert f"pkg{version.suffix}" == module.TOP
    assert module.pkg.sub is module.renamed is module.from_package is module.sibling
    assert module.leaf is module.relative_leaf is module.pkg.deep.leaf
    assert (module.VALUE, module.FROM_PARENT, module.STAR, module.leaf.LEAF) == (1, 1, "star", "star")
    assert module.inside.INSIDE
    assert module.namespace.inside is module.inside
    assert (module.circular_a.b(), module.circular_a.circular_b.a()) == ("b", "a")
    assert {file.relative_to(root).as_posix() for file in version.files} == {
        name for name in IMPORT_FORMS if name != "namespace"
    }


def test_a_local_module_hides_the_standard_librarys_for_the_worker_only(write: WriteFiles, loading: Loading) -> None:
    root = write(
        {
            "entry.py": """\
                from __future__ import annotations
                import datetime, enum, json, queue, types, sys, decimal
                from _strptime import MINE
                class Colour(enum.Enum):
                    RED = 1
                PARSED = datetime.datetime.strptime("2026-01-02", "%Y-%m-%d").year
                """,
            "types.py": "MINE = True",
            "queue.py": "MINE = True",
            "_strptime.py": "MINE = True",
            "sys.py": "raise AssertionError('a built-in module is never hidden')",
            "decimal.py": "MINE = True",
        }
    )
    module = loading.load(root / "entry.py")
    assert module.types.MINE
    assert module.queue.MINE
    assert module.sys is sys
    assert module.PARSED == 2026
    assert not hasattr(importlib.import_module("types"), "MINE")
    assert not hasattr(importlib.import_module("queue"), "MINE")


def test_a_folder_without_code_does_not_hide_a_module_that_is_installed(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "import json, email\nimport data", "json/x.json": "", "email/a.txt": "", "data/b.py": ""})
    module = loading.load(root / "entry.py")
    assert module.json.dumps({}) == "{}"
    assert module.data.__name__.startswith("data@")


def test_the_names_of_the_runtime_win_over_local_and_installed_modules(
    write: WriteFiles, loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(
        {
            "site/workers/__init__.py": "raise AssertionError('the SDK needs Pyodide')",
            "site/js.py": "raise AssertionError",
            "app/entry.py": """\
                import workers, js, pyodide.ffi, asgi
                import workers.asgi
                import pyodide.ffi as ffi
                from workers import Response, asgi as workers_asgi
                from pyodide.ffi import to_js
                """,
            "app/workers.py": "raise AssertionError('it would hide the API')",
        }
    )
    monkeypatch.syspath_prepend(str(root / "site"))
    module = loading.load(root / "app/entry.py")
    assert module.workers.__name__ == "emulator_runtime.workers"
    assert module.js.__name__ == "emulator_runtime.js"
    assert module.pyodide.__name__ == "emulator_runtime.pyodide"
    assert module.ffi is module.pyodide.ffi
    assert module.asgi.__name__ == "emulator_runtime.asgi"
    for name in ("workers", "js", "pyodide", "asgi"):
        assert name not in sys.modules


def test_a_third_party_module_is_not_imported_again_on_reload(
    write: WriteFiles, loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write({"site/installed_thing.py": "", "app/entry.py": "import installed_thing"})
    monkeypatch.syspath_prepend(str(root / "site"))
    first = loading.load(root / "app/entry.py").installed_thing
    assert loading.load(root / "app/entry.py").installed_thing is first
    del sys.modules["installed_thing"]


def test_python_modules_are_kept_over_reloads_and_apart_between_workers(write: WriteFiles, loading: Loading) -> None:
    package = {
        "python_modules/pkg/__init__.py": "import helper\nfrom workers import Response\nfrom . import sub\nX = 1",
        "python_modules/pkg/sub.py": "",
        "python_modules/helper.py": "X = 1",
    }
    entry = {"entry.py": "import pkg\nfrom pkg import sub\nimport helper"}
    root = write({f"{worker}/{name}": text for worker in "ab" for name, text in {**package, **entry}.items()})
    first = loading.load(root / "a/entry.py", "a")
    assert loading.load(root / "a/entry.py", "a").pkg is first.pkg
    assert loading.load(root / "b/entry.py", "b").pkg is not first.pkg
    assert first.pkg.helper.X == 1
    assert first.pkg.sub is first.sub
    assert first.pkg.Response.__module__.startswith("emulator_runtime.")
    assert "pkg" not in sys.modules


def test_own_modules_win_over_python_modules(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "import thing", "thing.py": "X = 'own'", "python_modules/thing.py": "X = 'theirs'"})
    assert loading.load(root / "entry.py").thing.X == "own"


def test_python_modules_do_not_hide_the_standard_library(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "import dataclasses", "python_modules/dataclasses.py": "X = 'a backport'"})
    assert loading.load(root / "entry.py").dataclasses is sys.modules["dataclasses"]


FOR_PYODIDE = "\0asm and so on"
COMPILED = {
    "python_modules/fast/__init__.py": "from fast import _core",
    "python_modules/fast/_core.cpython-312-wasm32-emscripten.so": FOR_PYODIDE,
    "python_modules/fast_things-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: fast-things\nVersion: 1.2\n",
    "python_modules/fast_things-1.2.dist-info/RECORD": "fast/__init__.py,,\nfast_things-1.2.dist-info/METADATA,,\n",
}
INSTALLED = {
    "site/fast.py": "X = 'installed'",
    "site/fast_things-1.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: fast-things\nVersion: 1.3\n",
}


def test_an_installed_package_takes_the_place_of_one_that_is_compiled_for_pyodide(
    write: WriteFiles, loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"entry.py": "import user, fast", "python_modules/user.py": "import fast"}
    root = write({**COMPILED, **INSTALLED, **user})
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root / "site"))
    monkeypatch.delitem(sys.modules, "fast", raising=False)
    module = loading.load(root / "entry.py")
    assert module.fast.X == "installed"
    assert module.user.fast is module.fast is sys.modules["fast"]
    assert loading.warnings == [
        (
            "python_modules has fast-things 1.2, which is built for Pyodide: the installed 1.3 takes its place; "
            f"`{sys.executable} -m pip install fast-things==1.2` installs the same"
        )
    ]
    del sys.modules["fast"]


def test_what_needs_another_version_than_the_installed_one_is_replaced_too(
    write: WriteFiles, loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = "Metadata-Version: 2.1\nName: needy\nVersion: 5\nRequires-Dist: fast==1.2 ; python_version > '3'\n"
    files = {
        "python_modules/fast.abi3.so": FOR_PYODIDE,
        "python_modules/needy/__init__.py": "X = 'of python_modules'",
        "python_modules/needy-5.dist-info/METADATA": pinned,
        "python_modules/needy-5.dist-info/RECORD": "needy/__init__.py,,\n",
        "site/needy.py": "import fast\nX = 'installed'",
        "site/needy-6.dist-info/METADATA": "Metadata-Version: 2.1\nName: needy\nVersion: 6\n",
        "site/fast.py": "",
        "site/fast-1.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: fast\nVersion: 1.3\n",
        "entry.py": "import needy",
    }
    root = write(files)
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root / "site"))
    assert loading.load(root / "entry.py").needy.X == "installed"
    [warning] = loading.warnings
    assert warning.startswith("python_modules has needy 5, which needs fast 1.2, and that version is not installed: ")
    assert "the installed 6 takes its place" in warning
    del sys.modules["fast"], sys.modules["needy"]

    (root / "site/fast-1.3.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: fast\nVersion: 1.2\n")
    loading.close()
    loading.versions, loading.packages = [], {}
    assert loading.load(root / "entry.py").needy.X == "of python_modules"


def test_an_installed_package_of_the_same_version_needs_no_word(
    write: WriteFiles, loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = {name.replace("1.3", "1.2"): text.replace("1.3", "1.2") for name, text in INSTALLED.items()}
    root = write({**COMPILED, **same, "entry.py": "import fast"})
    monkeypatch.syspath_prepend(str(root / "site"))
    assert loading.load(root / "entry.py").fast.X == "installed"
    assert loading.warnings == []
    del sys.modules["fast"]


@pytest.mark.parametrize(
    "file",
    ["fast/_core.cpython-312-wasm32-emscripten.so", "fast/_core.abi3.so", "fast/_core.so"],
)
def test_what_is_compiled_for_pyodide_and_not_installed_says_how_to_install_it(
    write: WriteFiles, loading: Loading, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    files = {name: text for name, text in COMPILED.items() if not name.endswith(".so")}
    root = write({**files, f"python_modules/{file}": FOR_PYODIDE, "entry.py": "import fast"})
    monkeypatch.chdir(root)
    with pytest.raises(ImportError) as caught:
        loading.load(root / "entry.py")
    assert str(caught.value) == (
        f"python_modules/{file} is built for Pyodide and cannot be loaded here, and no fast is installed where the "
        f"emulator runs: install it with `{sys.executable} -m pip install fast-things==1.2`"
    )


def test_a_compiled_module_by_itself_says_how_to_install_it(write: WriteFiles, loading: Loading) -> None:
    root = write({"python_modules/_speed.cpython-312-wasm32-emscripten.so": FOR_PYODIDE, "entry.py": "import _speed"})
    with pytest.raises(ImportError, match=r"no _speed is installed .* -m pip install _speed`"):
        loading.load(root / "entry.py")


def test_a_package_that_can_do_without_its_compiled_part_runs_without_it(write: WriteFiles, loading: Loading) -> None:
    optional = "try:\n    from . import _core\nexcept ImportError:\n    _core = None\n"
    root = write({**COMPILED, "python_modules/fast/__init__.py": optional, "entry.py": "import fast"})
    assert loading.load(root / "entry.py").fast._core is None


def test_the_metadata_of_python_modules_is_found_for_code_that_runs_for_the_worker(
    write: WriteFiles, loading: Loading
) -> None:
    source = "from importlib.metadata import version\ndef get():\n    return version('fast-things'), version('pytest')"
    root = write({**COMPILED, "entry.py": source})
    version = loading.version(root / "entry.py")
    module = version.load()
    with pytest.raises(PackageNotFoundError):
        module.get()
    token = current.set(Invocation(WorkerScope(None, no_way_out, print, version), None))
    try:
        assert module.get() == ("1.2", pytest.__version__)
    finally:
        current.reset(token)


def test_find_spec_finds_the_modules_of_a_worker(write: WriteFiles, loading: Loading) -> None:
    source = """\
        import importlib.util
        names = ("helpers", "vendored", "pkg.sub", "workers", "json", "nothing")
        found = {name: importlib.util.find_spec(name) for name in names}
        relative = importlib.util.find_spec(".sub", "pkg")
        """
    files = {"helpers.py": "", "python_modules/vendored.py": "", "pkg/__init__.py": "", "pkg/sub.py": ""}
    root = write({"entry.py": source, **files})
    original = importlib.util.find_spec
    module = loading.load(root / "entry.py")
    assert {name: spec and spec.origin for name, spec in module.found.items()} == {
        "helpers": str(root / "helpers.py"),
        "vendored": str(root / "python_modules/vendored.py"),
        "pkg.sub": str(root / "pkg/sub.py"),
        "workers": emulator_runtime.workers.__file__,
        "json": json.__file__,
        "nothing": None,
    }
    assert module.relative.origin == str(root / "pkg/sub.py")
    assert importlib.util.find_spec("helpers") is None
    loading.close()
    loading.versions, loading.packages = [], {}
    assert importlib.util.find_spec is original


def test_a_failed_import_leaves_nothing_half_initialised(write: WriteFiles, loading: Loading) -> None:
    root = write(
        {"entry.py": "import broken", "broken.py": "import good\nX = 1\nraise ValueError('no')", "good.py": ""}
    )
    version = loading.version(root / "entry.py")
    with pytest.raises(ValueError, match="no"):
        version.load()
    assert f"broken{version.suffix}" not in sys.modules
    assert f"entry{version.suffix}" not in sys.modules
    version.close()
    assert not [name for name in sys.modules if name.endswith(version.suffix)]


def test_a_failed_lazy_import_can_be_tried_again(write: WriteFiles, loading: Loading) -> None:
    root = write(
        {
            "entry.py": "import flag\ndef lazy():\n    import fragile\n    return fragile.DONE",
            "flag.py": "GOOD = False",
            "fragile.py": "import flag\nif not flag.GOOD:\n    raise RuntimeError('not yet')\nDONE = True",
        }
    )
    module = loading.load(root / "entry.py")
    with pytest.raises(RuntimeError, match="not yet"):
        module.lazy()
    module.flag.GOOD = True
    assert module.lazy()


@pytest.mark.parametrize("main", ["src/entry.py", "my-worker.py", "index.worker.py", "queue.py", "time.py"])
def test_main_may_be_anywhere_and_have_any_name(write: WriteFiles, loading: Loading, main: str) -> None:
    root = write({main: "import helper, queue, time\nVALUE = helper.VALUE\nNOW = time.time()"})
    (root / main).with_name("helper.py").write_text("VALUE = 7")
    assert loading.load(root / main).VALUE == 7


def test_main_is_the_same_module_when_another_one_imports_it(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "APP = object()\nimport other", "other.py": "import entry\nfrom entry import APP"})
    module = loading.load(root / "entry.py")
    assert module.other.entry is module
    assert module.other.APP is module.APP


def test_a_missing_main_is_an_error_for_the_user(tmp_path: Path, loading: Loading) -> None:
    with pytest.raises(WorkerLoadError, match=r"entry\.py: the file does not exist"):
        loading.load(tmp_path / "entry.py")


def test_closing_the_last_version_leaves_the_interpreter_as_it_was(write: WriteFiles) -> None:
    before = (importlib.import_module, list(sys.meta_path), set(sys.modules))
    root = write({"entry.py": "import utils", "utils.py": ""})
    from tests.hosts.python.support import Loading

    loading = Loading()
    version = loading.version(root / "entry.py")
    version.load()
    assert importlib.import_module is not before[0]
    loading.close()
    assert (importlib.import_module, sys.meta_path) == before[:2]
    assert set(sys.modules) - before[2] == set()
    assert str(root / "entry.py") not in linecache.cache
    assert version.is_closed


FRAMEWORK = "import importlib\ndef load(name):\n    return importlib.import_module(name)"


@pytest.fixture
def framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A third-party module that imports what a setting names."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "some_framework.py").write_text(FRAMEWORK)
    monkeypatch.syspath_prepend(str(site))
    module = importlib.import_module("some_framework")
    monkeypatch.delitem(sys.modules, "some_framework")
    return module


def test_a_framework_finds_the_modules_of_the_worker_that_runs(
    write: WriteFiles, loading: Loading, framework: ModuleType
) -> None:
    root = write(
        {"a/entry.py": "X = 'a'", "a/settings/__init__.py": "", "a/settings/dev.py": "", "b/entry.py": "X = 'b'"}
    )
    a, b = loading.version(root / "a/entry.py", "a"), loading.version(root / "b/entry.py", "b")
    for version in (a, b):
        module = version.load()
        token = current.set(Invocation(WorkerScope(None, no_way_out, print, version), None))
        try:
            assert framework.load("entry") is module
            assert framework.load("json") is sys.modules["json"]
        finally:
            current.reset(token)
    token = current.set(Invocation(WorkerScope(None, no_way_out, print, a), None))
    try:
        assert framework.load("settings.dev").__name__ == f"settings{a.suffix}.dev"
    finally:
        current.reset(token)
    with pytest.raises(ModuleNotFoundError):
        framework.load("entry")


def test_a_library_that_asks_for_a_standard_module_gets_that_one(
    write: WriteFiles, loading: Loading, framework: ModuleType
) -> None:
    root = write({"entry.py": "import importlib\nMINE = importlib.import_module('queue')", "queue.py": "X = 1"})
    version = loading.version(root / "entry.py")
    module = version.load()
    assert module.MINE.X == 1
    token = current.set(Invocation(WorkerScope(None, no_way_out, print, version), None))
    try:
        assert not hasattr(framework.load("queue"), "X")
    finally:
        current.reset(token)


LANGUAGE = """\
    from __future__ import annotations

    import enum
    import pickle
    from dataclasses import dataclass, field
    from typing import ClassVar, NamedTuple, TypedDict

    import pydantic


    @dataclass
    class Point:
        x: int
        parent: Point | None = None
        names: list[str] = field(default_factory=list)
        count: ClassVar[int] = 0


    class Colour(enum.Enum):
        RED = 1


    class Pair(NamedTuple):
        one: Colour
        two: Point


    class Model(pydantic.BaseModel):
        colour: Colour
        children: list[Model] = []


    def round_trip(value):
        return pickle.loads(pickle.dumps(value))
    """


def test_what_looks_a_module_up_by_its_name_works_in_worker_code(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": LANGUAGE})
    module = loading.load(root / "entry.py")
    point = module.Point(1, module.Point(2))
    assert typing.get_type_hints(module.Point)["parent"] == module.Point | None
    assert module.round_trip(point) == point
    assert module.round_trip(module.Colour.RED) is module.Colour.RED
    assert module.round_trip(module.Pair(module.Colour.RED, point)) == (module.Colour.RED, point)
    assert pickle.loads(pickle.dumps(point)) == point
    assert module.Model(colour=1, children=[{"colour": 1}]).children[0].colour is module.Colour.RED
    assert inspect.getsource(module.round_trip).startswith("def round_trip(value):")
    assert inspect.getsource(module.Colour) == "class Colour(enum.Enum):\n    RED = 1\n"
    assert inspect.getmodule(module.Point) is module


def test_a_fastapi_application_with_postponed_annotations_is_built(write: WriteFiles, loading: Loading) -> None:
    root = write(
        {
            "entry.py": """\
                from __future__ import annotations
                from fastapi import FastAPI
                from models import Item
                app = FastAPI()
                @app.post("/items")
                async def create(item: Item) -> Item:
                    return item
                """,
            "models.py": "from __future__ import annotations\nfrom pydantic import BaseModel\n"
            "class Item(BaseModel):\n    name: str\n    parts: list[Item] = []\n",
        }
    )
    module = loading.load(root / "entry.py")
    schema = module.app.openapi()
    assert schema["components"]["schemas"]["Item-Output"]["properties"]["parts"]["items"] == {
        "$ref": "#/components/schemas/Item-Output"
    }


def test_the_future_of_this_loader_is_not_inherited_by_worker_code(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "def f(x: int): ..."})
    assert loading.load(root / "entry.py").f.__annotations__ == {"x": int}


def test_a_traceback_shows_the_lines_of_the_version_that_ran(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "def f():\n    raise ValueError('old')\n"})
    old = loading.load(root / "entry.py")
    write({"entry.py": "# a new comment\n\ndef f():\n    raise ValueError('new')\n"})
    new = loading.load(root / "entry.py")
    write({"entry.py": "# saved, and not loaded yet\n"})
    for module, line in ((old, "raise ValueError('old')"), (new, "raise ValueError('new')")):
        with pytest.raises(ValueError, match=r"old|new") as caught:
            module.f()
        assert Failure.from_exception(caught.value, root).frames[-1].code == line
    assert traceback.format_exc() == "NoneType: None\n"


def test_a_module_tells_whose_it_is(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "", "python_modules/pkg.py": ""})
    version = loading.version(root / "entry.py", "sign.up")
    name = version.load().__name__
    assert modules_of(name) is version
    assert modules_of(f"pkg{version.suffix}.sub") is version
    assert modules_of("json") is None
    assert modules_of("someone@example.com") is None
    assert plain_name(name) == "entry"


def test_a_module_that_is_not_there_is_named_as_the_user_wrote_it(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "import pkg.missing", "pkg/__init__.py": ""})
    with pytest.raises(ModuleNotFoundError) as caught:
        loading.load(root / "entry.py")
    assert Failure.from_exception(caught.value, root).message == "No module named 'pkg.missing'"


def test_a_resource_beside_a_module_is_found(write: WriteFiles, loading: Loading) -> None:
    root = write(
        {
            "entry.py": "from importlib import resources\nimport pkg\n"
            "TEXT = resources.files(pkg).joinpath('page.html').read_text()",
            "pkg/__init__.py": "",
            "pkg/page.html": "<p>",
        }
    )
    assert loading.load(root / "entry.py").TEXT == "<p>"
