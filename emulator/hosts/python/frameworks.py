"""What Django needs to run in a worker.

Django has state of the whole process: settings, applications, URLs, signals. So each version of a worker has a Django
of its own, with all that is installed and may depend on it (`loader.py`). And it takes module names apart, which have
the suffix of their worker here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from emulator.base.failure import plain_name

_DJANGO: Final = "django"
_SIGNS: Final = (b"import django", b"from django", b"DJANGO_SETTINGS_MODULE")


def needs_own_packages(source: bytes) -> bool:
    """Whether a module of a worker is for a framework that has state of the whole process."""
    return any(sign in source for sign in _SIGNS)


def installed_packages() -> list[str]:
    """The directories of what pip has installed for this Python."""
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


def is_shared(spec: ModuleSpec, installed: Sequence[str]) -> bool:
    """Whether a top-level package or module is one of the `installed` ones, and is the same for everybody: it is loaded
    already, or is compiled, which often cannot be loaded twice."""
    places = [str(spec.origin)] if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    if not any(str(Path(place).parent) in installed for place in places):
        return False
    if spec.name != _DJANGO and spec.name in sys.modules:
        return True
    suffix = EXTENSION_SUFFIXES[-1]
    return any(place.endswith(suffix) or any(True for _ in Path(place).rglob(f"*{suffix}")) for place in places)


def prepare(module: ModuleType) -> None:
    """Let a module of Django, which has just been loaded, find the names of modules as their authors wrote them."""
    change = _CHANGES.get(plain_name(module.__name__))
    if change is not None:
        change(module)


def _find_applications(module: Any) -> None:
    find = module.Apps.get_containing_app_config

    def get_containing_app_config(self: Any, object_name: str) -> Any:
        return find(self, plain_name(object_name))

    module.Apps.get_containing_app_config = get_containing_app_config


def _find_template_tags(module: Any) -> None:
    find = module.get_package_libraries

    def get_package_libraries(package: ModuleType) -> Iterator[str]:
        return map(plain_name, find(package))

    module.get_package_libraries = get_package_libraries


_CHANGES: Final[Mapping[str, Callable[[Any], None]]] = {
    "django.apps.registry": _find_applications,
    "django.template.backends.django": _find_template_tags,
}
