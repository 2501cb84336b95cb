"""Frameworks with state of the whole process: each version of a worker has its own."""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emulator.hosts.python import frameworks

if TYPE_CHECKING:
    from tests.hosts.python.support import Loading, WriteFiles

PACKAGES = {
    "site-packages/django/__init__.py": "state = []",
    "site-packages/django/apps/__init__.py": "",
    "site-packages/django/apps/registry.py": """
        class Apps:
            def get_containing_app_config(self, object_name):
                return object_name
        """,
    "site-packages/plugin/__init__.py": "import django\n\ndef add(value):\n    django.state.append(value)",
    "site-packages/compiled/__init__.py": "",
    f"site-packages/compiled/part{EXTENSION_SUFFIXES[-1]}": "",
}


@pytest.fixture
def installed(write: WriteFiles, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with worker files, beside which a Django is installed."""
    root = write(PACKAGES)
    monkeypatch.syspath_prepend(str(root / "site-packages"))
    return root


def test_each_version_has_a_django_of_its_own(installed: Path, write: WriteFiles, loading: Loading) -> None:
    write({"entry.py": "import plugin\nimport django\nplugin.add('a')\nstate = django.state"})
    first = loading.load(installed / "entry.py")
    old = loading.packages.pop(installed)  # as the host does on a reload
    second = loading.load(installed / "entry.py")
    old.close()
    assert first.state == second.state == ["a"]
    assert first.django is not second.django
    assert first.plugin is not second.plugin
    assert "django" not in sys.modules


def test_what_is_compiled_or_loaded_already_is_shared(installed: Path, write: WriteFiles, loading: Loading) -> None:
    write({"entry.py": "import django\nimport compiled\nimport pytest"})
    module = loading.load(installed / "entry.py")
    assert module.compiled is sys.modules.pop("compiled")
    assert module.pytest is pytest


def test_installed_packages_are_shared_without_django(installed: Path, write: WriteFiles, loading: Loading) -> None:
    write({"site-packages/other.py": "", "entry.py": "import other"})
    assert loading.load(installed / "entry.py").other is sys.modules.pop("other")


def test_django_is_given_names_of_modules_as_they_were_written(
    installed: Path, write: WriteFiles, loading: Loading
) -> None:
    write(
        {
            "entry.py": """
                from django.apps.registry import Apps

                class Note: pass

                find = Apps().get_containing_app_config
                """
        }
    )
    module = loading.load(installed / "entry.py")
    assert module.Note.__module__ != "entry"
    assert module.find(f"{module.Note.__module__}.models") == "entry.models"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"import django", True),
        (b"from django.core.wsgi import get_wsgi_application", True),
        (b'os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"', True),
        (b"# unlike django, this is small", False),
    ],
)
def test_which_modules_are_for_such_a_framework(source: bytes, expected: bool) -> None:
    assert frameworks.needs_own_packages(source) is expected
