"""How to install a package where the emulator runs, which depends on how that was started."""

from __future__ import annotations

import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from emulator.base.words import shown_path

_PACKAGES: Final = {
    "Crypto": "pycryptodome",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "magic": "python-magic",
    "multipart": "python-multipart",
    "nacl": "pynacl",
    "rest_framework": "djangorestframework",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "yaml": "pyyaml",
}
"""Well-known packages whose modules have another name."""

_OVERLAY: Final = "extends-environment"
"""A setting of the environments that `uv run --with` makes on top of others."""


def package_of(module: str) -> str:
    """The package that has the top-level `module`, as far as that is known; nearly always they share a name."""
    return _PACKAGES.get(module, module)


def install_command(requirement: str) -> str:
    """The command that installs `requirement`, such as `tzdata` or `tzdata==2026.1`, where this process would find it.
    In an environment that exists for one run it is the start of the emulator, whose other arguments are `...`."""
    package = shlex.quote(requirement)
    environment = Path(sys.prefix)
    if (environment / "uv-receipt.toml").exists():
        return f"uv tool install --with {package} {environment.name}"
    if (environment / "pipx_metadata.json").exists():
        is_kept = environment.parent.name == "venvs"
        return f"pipx inject {environment.name} {package}" if is_kept else f"pipx run --with {package} ..."
    if _OVERLAY in _settings_of(environment):
        return f"uv run --with {package} ..."
    if environment.name == ".venv" and (environment.parent / "uv.lock").exists():
        return f"uv add {package}"
    python = shlex.quote(shown_path(sys.executable))
    if find_spec("pip") is not None:
        return f"{python} -m pip install {package}"
    if "UV" in os.environ and os.environ.get("VIRTUAL_ENV") != sys.prefix:
        return f"uvx --with {package} ..."
    return f"uv pip install --python {python} {package}"


def _settings_of(environment: Path) -> str:
    try:
        return (environment / "pyvenv.cfg").read_text("utf-8", "replace")
    except OSError:
        return ""
