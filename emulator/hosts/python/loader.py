"""Loads the modules of workers, so that two workers, or two versions of a worker, never share a module.

A worker's own module `utils` is stored in `sys.modules` as `utils@sign-up#3`: the name, the worker, and a number that
is never used twice in this process. Only the top-level name has the suffix, so that `package@sign-up#3.module` has its
parent where the standard import machinery looks for it. So relative imports, circular imports, `pickle`,
`typing.get_type_hints` and `inspect` work as usual.

Each version has its own `__import__`, so that the plain name works. A function uses the builtins of the module in which
it was defined, so the modules of a version get a copy of the builtins with another `__import__`; this covers lazy
imports in handlers too. A name means, in this order, one of the runtime's modules (`workers`, `js`, ...), a built-in
module, a module beside `main`, one in `python_modules/`, or the module that any other code would get. Nothing changes
for code outside the workers, except that `importlib.import_module`, `importlib.util.find_spec` and `importlib.metadata`
find what is a worker's while that worker runs, because frameworks use them to find what a setting names.

`python_modules/` contains third-party code. It is isolated between workers and kept over reloads, in a space of its
own; a space is a suffix, some directories, and the meaning of names in them. What is compiled in it is built for
Pyodide: the installed package of the same name takes the place of such a package.
"""

from __future__ import annotations

import builtins
import importlib
import itertools
import linecache
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.machinery import (
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from emulator.base.errors import WorkerLoadError
from emulator.config.model import PYTHON_MODULES
from emulator.hosts.python import frameworks
from emulator_runtime.hosting import Scope, current

if TYPE_CHECKING:
    from importlib.metadata import Distribution, DistributionFinder

    from emulator.base.bus import Bus
    from emulator.hosts.outbound import Outbound

T = TypeVar("T")

RUNTIME_MODULES: Final[Mapping[str, str]] = {
    "asgi": "emulator_runtime.workers.asgi",
    "js": "emulator_runtime.js",
    "pyodide": "emulator_runtime.pyodide",
    "workers": "emulator_runtime.workers",
}
"""The names in worker code, and the modules that they mean. They take precedence over everything else, including an
installed SDK."""

_SDK_MODULES: Final[Mapping[str, str]] = {"wsgi": "emulator_runtime.workers.wsgi"}
"""More of them, which a worker's own module of the name hides: a Django project may have a `wsgi.py`."""

_WAITING: Final = (b"run_sync", b"run_until_complete", b"asyncio.run(", b"wsgi")
"""What worker code has in it whose plain functions wait for an awaitable."""

_WAITING_PACKAGES: Final = (b"run_sync", b"run_until_complete")
"""The same for third-party code, whose bytecode has the names in it as well."""

_BUILT_IN: Final = frozenset(sys.builtin_module_names)
_import = builtins.__import__
_serial = itertools.count(1)
_spaces: dict[str, _Space] = {}


class WorkerModules:
    """One version of a worker's modules. `main` is the file to load, with any path and name; `packages` are the
    worker's third-party modules, which outlive the version.

    `cpu_ms` is the worker's CPU limit in milliseconds, for code that finds the version by one of its frames. Close it
    when its last invocation has ended.
    """

    def __init__(self, worker: str, main: Path, packages: WorkerPackages, *, cpu_ms: int = 30_000) -> None:
        self.worker = worker
        self.main = main
        self.packages = packages
        self.cpu_ms = cpu_ms
        self._sources: dict[str, OwnSource] = {}
        self.space = _Space(worker, [str(main.parent)], self._loader, packages.space, self)
        self._main_name = main.stem.replace(".", "_") + self.space.suffix

    @property
    def suffix(self) -> str:
        """The end of the top-level names of this version's modules, such as `@sign-up#3`."""
        return self.space.suffix

    @property
    def files(self) -> frozenset[Path]:
        """The worker's own files that have been loaded so far; lazy imports add to them."""
        return frozenset(map(Path, self._sources))

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self.space.is_closed

    @property
    def may_wait(self) -> bool:
        """Whether a module that has been loaded so far may wait for an awaitable in a plain function."""
        return self.space.may_wait or self.packages.space.may_wait

    def load(self) -> ModuleType:
        """Import `main` and return it.

        Raises WorkerLoadError if the file does not exist, and any exception that the worker's code raises while it is
        imported.
        """
        if not self.main.is_file():
            raise WorkerLoadError("the file does not exist", where=str(self.main), hint='"main" names the file to load')
        _forget_listings(self.main.parent)
        loader = OwnSource(self._main_name, str(self.main), self.space, self._sources)
        spec = spec_from_file_location(self._main_name, self.main, loader=loader)
        assert spec is not None
        module = module_from_spec(spec)
        sys.modules[self._main_name] = module
        self.space.loaded.add(self._main_name)
        try:
            loader.exec_module(module)
        except BaseException:
            sys.modules.pop(self._main_name, None)
            raise
        return sys.modules[self._main_name]

    def resolve(self, name: str) -> str:
        """The name in `sys.modules` of the module that worker code calls `name`."""
        return self.space.resolve(name)

    def close(self) -> None:
        """Remove the version's modules from `sys.modules`. Code that still runs keeps its modules, but cannot import
        more."""
        self.space.close()
        for file, source in self._sources.items():
            entry = linecache.cache.get(file)
            if entry is not None and len(entry) > 2 and entry[2] is source.lines:
                del linecache.cache[file]

    def _loader(self, name: str, path: str, space: _Space) -> OwnSource:
        return OwnSource(name, path, space, self._sources)


class WorkerPackages:
    """The third-party modules of one worker: those in `python_modules/` in `root`, the directory of its configuration.

    `on_warning` is told in a sentence when an installed package of another version takes the place of one.
    """

    def __init__(self, worker: str, root: Path, on_warning: Callable[[str], None]) -> None:
        self.root = root
        self.directory = root / PYTHON_MODULES
        self.space = _Space(worker, [str(self.directory)], _PackageSource, None, None, is_replaced=self._is_replaced)
        self._on_warning = on_warning

    @property
    def is_of_one_version(self) -> bool:
        """Whether the next version of the worker needs modules of its own, because these have state."""
        return bool(self.space.installed)

    def close(self) -> None:
        """Remove the modules from `sys.modules`."""
        self.space.close()

    def _is_replaced(self, top: str) -> bool:
        """Whether the module or package `top` means what any other code would get, although it may be here: a module of
        the standard library, or a package that is installed and is compiled here, or needs one that is in exactly the
        version that is here."""
        if top in sys.stdlib_module_names:
            return True
        if not self.directory.is_dir():
            return not self.space.installed
        from emulator.hosts.python.python_modules import has_webassembly, needs_another_version, replacement

        is_compiled = has_webassembly(self.directory, top)
        needed = "" if is_compiled else needs_another_version(self.directory, top)
        if not (is_compiled or needed) or not _exists_elsewhere(top):
            return False
        warning = replacement(self.directory, top, needed)
        if warning:
            self._on_warning(warning)
        return True


class WorkerScope(Scope):
    """A scope with the modules that its invocations see, and the bus for what they write. `quit_ids` are the ids of the
    messages whose handler was ended at a debugger's prompt."""

    __slots__ = ("bus", "modules", "quit_ids")

    def __init__(
        self,
        env: Any,
        outbound: Outbound,
        on_warning: Callable[[str], None],
        modules: WorkerModules,
        bus: Bus | None = None,
        **of_scope: Any,
    ) -> None:
        super().__init__(modules.worker, env, outbound, on_warning, **of_scope)
        self.modules = modules
        self.bus = bus
        self.quit_ids: set[str] = set()


def modules_of(module_name: str) -> WorkerModules | None:
    """The version that a module belongs to, by its `__name__` in `sys.modules`; None for any other module."""
    _, at, suffix = module_name.partition(".")[0].rpartition("@")
    space = _spaces.get(suffix) if at else None
    return space.version if space is not None else None


class _Space:
    """A group of directories whose modules have separate names in `sys.modules`."""

    def __init__(
        self,
        worker: str,
        directories: list[str],
        make_loader: Callable[[str, str, _Space], SourceFileLoader],
        fallback: _Space | None,
        version: WorkerModules | None,
        *,
        is_replaced: Callable[[str], bool] = lambda _top: False,
    ) -> None:
        self.key = f"{re.sub(r'[^A-Za-z0-9_-]', '_', worker)}#{next(_serial)}"
        self.suffix = f"@{self.key}"
        self.directories = directories
        self.make_loader = make_loader
        self.version = version
        self.is_closed = False
        self.may_wait = False
        self.installed: list[str] = []
        """The directories of installed packages that this space has copies of its own of."""
        self.loaded: set[str] = set()
        """The names in `sys.modules` that may belong to this space: all that were looked for and found."""
        self._fallback = fallback
        self._is_replaced = is_replaced
        self._names: dict[str, str] = dict(RUNTIME_MODULES)
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import_module}
        _open(self)

    def resolve(self, name: str) -> str:
        """The full name of a module that code of this space calls `name`."""
        top, dot, rest = name.partition(".")
        return self._resolve_top(top) + dot + rest

    def own_installed(self) -> None:
        """Load installed packages from now on as if they lay in `python_modules/`."""
        space = self if self._fallback is None else self._fallback
        space.installed = space.installed or frameworks.installed_packages()

    def find(self, name: str, path: Sequence[str] | None = None) -> ModuleSpec | None:
        """Where a module of this space is, by its plain name; `path` is its package's, None for a top-level name."""
        directories = self.directories if path is None else path
        found = PathFinder.find_spec(name, directories)
        if self.version is not None or (found is not None and not isinstance(found.loader, ExtensionFileLoader)):
            return found
        from emulator.hosts.python.python_modules import webassembly_of

        file = webassembly_of(name.rpartition(".")[2], directories)
        if file is not None:
            return ModuleSpec(name, _ForPyodide(name, str(file)), origin=str(file))
        if found is None and path is None and self.installed:
            return PathFinder.find_spec(name, self.installed)
        return found

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            _close(self)
            for name in self.loaded:
                sys.modules.pop(name, None)

    def _resolve_top(self, top: str) -> str:
        target = self._names.get(top)
        if target is None:
            target = self._names[top] = self._look_up(top)
        return target

    def _look_up(self, top: str) -> str:
        if top in _BUILT_IN or "@" in top or not top:
            return top
        own = top + self.suffix
        if own in sys.modules:
            return own
        if self._is_replaced(top):
            return _SDK_MODULES.get(top, top)
        spec = self.find(top)
        if spec is not None and self.installed and frameworks.is_shared(spec, self.installed):
            return top
        # A directory without an __init__.py is a module only where nothing else of that name is, as everywhere: a
        # folder `email/` with templates in it must not hide the standard library's.
        if spec is not None and (spec.loader is not None or not _exists_elsewhere(top)):
            return own
        return _SDK_MODULES.get(top, top) if self._fallback is None else self._fallback.resolve(top)

    def _import_module(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names of `__import__`
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """The `__import__` of code in this space."""
        # An empty list comes from the interpreter itself, as where `datetime.strptime` imports `_strptime`.
        if level or (not fromlist and type(fromlist) is list):
            return _import(name, globals, locals, fromlist or (), level)
        top, dot, rest = name.partition(".")
        target = self._resolve_top(top)
        if target == top:
            return _import(name, globals, locals, fromlist or (), 0)
        if target in _PUBLIC_NAMES:
            module = _import_of_runtime(target + dot + rest, fromlist or ())
        else:
            module = _import(target + dot + rest, globals, locals, fromlist or (), 0)
        return module if fromlist else sys.modules[target]


class _PackageSource(SourceFileLoader):
    """A module in `python_modules/`. It is compiled once and cached on disk, like other third-party code."""

    def __init__(self, name: str, path: str, space: _Space) -> None:
        super().__init__(name, path)
        self._space = space

    def exec_module(self, module: ModuleType) -> None:
        _run(module, self.get_code(module.__name__), self._space)
        if self._space.installed:
            frameworks.prepare(module)

    def get_data(self, path: str) -> bytes:
        data = super().get_data(path)
        self._space.may_wait = self._space.may_wait or any(word in data for word in _WAITING_PACKAGES)
        return data


class _PackageBytecode(SourcelessFileLoader):
    """A module in `python_modules/` without source code."""

    def __init__(self, name: str, path: str, space: _Space) -> None:
        super().__init__(name, path)
        self._space = space

    def exec_module(self, module: ModuleType) -> None:
        _run(module, self.get_code(module.__name__), self._space)


class OwnSource(SourceFileLoader):
    """A module of the worker's own.

    It is always compiled from source. A cache on disk distinguishes versions only by the second and the size of the
    file, so after two quick saves it would run stale code. `lines` keeps the source that runs, so that a traceback
    never shows lines of a later save.
    """

    def __init__(self, name: str, path: str, space: _Space, sources: dict[str, OwnSource]) -> None:
        super().__init__(name, path)
        self.lines: list[str] = []
        self._space = space
        self._sources = sources

    def exec_module(self, module: ModuleType) -> None:
        _run(module, self.get_code(module.__name__), self._space)

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        source = self.get_data(self.path)
        self._space.may_wait = self._space.may_wait or any(word in source for word in _WAITING)
        if frameworks.needs_own_packages(source):
            self._space.own_installed()
        self._sources[self.path] = self
        self.lines = _decode(source).splitlines(keepends=True)
        if self.lines and not self.lines[-1].endswith("\n"):
            self.lines[-1] += "\n"
        self.show_source()
        return _compiled(source, self.path)

    def get_source(self, fullname: str) -> str:  # noqa: ARG002
        return "".join(self.lines)

    def show_source(self) -> None:
        """Let `linecache`, and so tracebacks and the debugger, show the source of this version."""
        # Without a modification time the entry is never checked against the file on disk.
        linecache.cache[self.path] = (len(self.lines), None, self.lines, self.path)


class _Extension(ExtensionFileLoader):
    """An extension module, whose initialisation function is named after its plain name."""

    def __init__(self, plain: ModuleSpec) -> None:
        super().__init__(plain.name, str(plain.origin))
        self._plain = plain

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002
        return super().create_module(self._plain)


class _ForPyodide(ExtensionFileLoader):
    """A compiled module that runs in Pyodide only; importing it raises ImportError."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from emulator.hosts.python.python_modules import why_not_loadable

        raise ImportError(why_not_loadable(Path(self.path)), name=spec.name, path=self.path)


class _Finder:
    """Finds only the modules of spaces, by their names in `sys.modules`, and the metadata of a running worker's
    packages."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        top, dot, rest = name.partition(".")
        base, at, key = top.rpartition("@")
        space = _spaces.get(key) if at else None
        if space is None:
            return None
        found = space.find(base + dot + rest, path)
        if found is None:
            return None
        space.loaded.add(name)
        locations = found.submodule_search_locations
        spec = ModuleSpec(name, None, origin=found.origin, is_package=locations is not None)
        spec.has_location = found.has_location
        if locations is not None:
            spec.submodule_search_locations = list(locations)
        if isinstance(found.loader, SourceFileLoader):
            spec.loader = space.make_loader(name, str(found.origin), space)
        elif isinstance(found.loader, SourcelessFileLoader):
            spec.loader = _PackageBytecode(name, str(found.origin), space)
        elif isinstance(found.loader, _ForPyodide):
            spec.loader = found.loader
        elif isinstance(found.loader, ExtensionFileLoader):
            spec.loader = _Extension(found)
        return spec

    @staticmethod
    def find_distributions(context: DistributionFinder.Context) -> Iterable[Distribution]:
        scope = _running_scope()
        if scope is None or "path" in vars(context):
            return ()
        directory = str(scope.modules.packages.directory)
        return PathFinder.find_distributions(type(context)(name=context.name, path=[directory]))


class _ByPlainName(Generic[T]):
    """Replaces `importlib.import_module` or `importlib.util.find_spec` while there are workers: finds a worker's
    modules for code that runs on its behalf."""

    def __init__(self, original: Callable[[str, str | None], T]) -> None:
        self.original = original

    def __call__(self, name: str, package: str | None = None) -> T:
        caller = sys._getframe(1)  # noqa: SLF001 - there is no other way to know who asks
        space = _space_of_frame(caller)
        if space is None or space.version is None:  # a library, which may mean a module of the worker that runs it
            space = _running_space(name) or space
        if space is not None:
            if not name.startswith("."):
                name = space.resolve(name)
            elif package is not None:
                package = space.resolve(package)
        try:
            return self.original(name, package)
        except ModuleNotFoundError as error:
            if _is_of_runtime(error):
                raise _publicly_named(error) from None
            raise


_finder = _Finder()


_PUBLIC_NAMES: Final = {module: name for name, module in RUNTIME_MODULES.items()}


def _import_of_runtime(name: str, fromlist: Sequence[str]) -> ModuleType:
    """Import one of the runtime's modules for a worker. An error names what is missing as the worker names it."""
    try:
        module = _import(name, fromlist=fromlist)
    except ModuleNotFoundError as error:
        if _is_of_runtime(error):
            raise _publicly_named(error) from None
        raise
    for attribute in fromlist:
        if attribute != "*" and not hasattr(module, attribute):
            public = _public_name(name)
            raise ImportError(f"cannot import name {attribute!r} from {public!r}", name=public)
    return module


def _is_of_runtime(error: ModuleNotFoundError) -> bool:
    return (error.name or "").startswith(tuple(_PUBLIC_NAMES))


def _publicly_named(error: ModuleNotFoundError) -> ModuleNotFoundError:
    name = _public_name(error.name or "")
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


def _public_name(module: str) -> str:
    """What worker code calls a module of the runtime."""
    return next(name + module.removeprefix(own) for own, name in _PUBLIC_NAMES.items() if module.startswith(own))


def _run(module: ModuleType, code: CodeType | None, space: _Space) -> None:
    """Run a module's code with the builtins of its space."""
    assert code is not None
    vars(module)["__builtins__"] = space.builtins
    exec(code, vars(module))


def _open(space: _Space) -> None:
    if not _spaces:
        sys.meta_path.insert(0, _finder)
        importlib.import_module = _ByPlainName(importlib.import_module)
        importlib.util.find_spec = _ByPlainName(importlib.util.find_spec)
    _spaces[space.key] = space


def _close(space: _Space) -> None:
    del _spaces[space.key]
    if not _spaces:
        sys.meta_path.remove(_finder)
        for module, name in ((importlib, "import_module"), (importlib.util, "find_spec")):
            wrapper = getattr(module, name)
            if isinstance(wrapper, _ByPlainName):
                setattr(module, name, wrapper.original)


def _space_of_frame(frame: Any) -> _Space | None:
    name = frame.f_globals.get("__name__")
    return _spaces.get(name.partition(".")[0].rpartition("@")[2]) if isinstance(name, str) and "@" in name else None


def _running_space(name: str) -> _Space | None:
    """The space of the worker that is running, if a third-party module may mean one of its modules.

    A library that imports a standard module means that one, even if the worker has a module of the same name.
    """
    scope = _running_scope()
    if scope is None or name.partition(".")[0] in sys.stdlib_module_names:
        return None
    return scope.modules.space


def _running_scope() -> WorkerScope | None:
    """The scope of the worker that is running."""
    invocation = current.get(None)
    return invocation.scope if invocation is not None and isinstance(invocation.scope, WorkerScope) else None


def _exists_elsewhere(top: str) -> bool:
    try:
        return top in sys.modules or find_spec(top) is not None
    except ValueError:  # a module that has no spec
        return True


def _forget_listings(directory: Path) -> None:
    """Clear the cached listings of a worker's directories: a file that was saved within the same tick would be
    missed."""
    prefix = str(directory)
    for path, finder in sys.path_importer_cache.items():
        if path.startswith(prefix) and isinstance(finder, FileFinder):
            finder.invalidate_caches()


@lru_cache(maxsize=64)
def _compiled(source: bytes, path: str) -> CodeType:
    """The code of a module. The same source is compiled only once, even for a thousand tests of one worker."""
    code: CodeType = compile(source, path, "exec", dont_inherit=True)
    return code


def _decode(source: bytes) -> str:
    try:
        return importlib.util.decode_source(source)
    except (SyntaxError, UnicodeDecodeError):  # compiling it says what is wrong
        return source.decode("utf-8", "replace")
