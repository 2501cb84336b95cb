"""The certificate of a session that is served over HTTPS: one that was given, or one that is made here and kept.

A certificate that is made here is signed by an authority of its own, whose private key is thrown away: who trusts that
authority trusts this one certificate. Both are kept in a directory that only the user may enter, so that a browser has
to be told once.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Final, NoReturn

import msgspec

from emulator.base.errors import ServerError
from emulator.base.installing import install_command
from emulator.base.words import reason, shown_path
from emulator.session.running import make_private, write_private

EVERYWHERE: Final = ("localhost", "127.0.0.1", "::1")
"""The names that every certificate which is made here has."""

_NOBODY: Final = ("0.0.0.0", "::")
"""What no client calls a server."""

_VALID: Final = timedelta(days=825)
"""Browsers of Apple accept no certificate that is valid for longer."""
_KEPT: Final = timedelta(days=800)


class Identity(msgspec.Struct, frozen=True):
    """What a server proves with who it is. Clients trust the certificates in the file `trusted`."""

    context: ssl.SSLContext
    trusted: Path


def given(certificate: Path, key: Path) -> Identity:
    """The identity of a certificate, and those that follow in its file, and its private key, in PEM files. Raises
    ServerError if they cannot be used."""
    for path, option in ((certificate, "--https-cert-path"), (key, "--https-key-path")):
        try:
            path.read_bytes()
        except OSError as error:
            raise ServerError(f"{option}: {shown_path(path)} cannot be read: {reason(error)}") from None
    try:
        return Identity(_context(certificate, key), certificate.absolute())
    except ssl.SSLError as error:
        which = f"the certificate in {shown_path(certificate)} and the private key in {shown_path(key)}"
        raise ServerError(f"{which} cannot be used together: {error.reason or error}") from None


def self_made(names: Sequence[str], on_made: Callable[[Path], None]) -> Identity:
    """An identity for the hosts `names`, beside those that every one has. One that was made earlier and is valid is
    used again; otherwise `on_made` is told the file that clients have to trust. Raises ServerError."""
    others = sorted(set(names).difference(EVERYWHERE, _NOBODY))
    name = f"localhost-{sha256(' '.join(others).encode()).hexdigest()[:12]}" if others else "localhost"
    try:
        directory = _directory()
        directory.parent.mkdir(parents=True, exist_ok=True)
        make_private(directory)
        key, trusted = directory / f"{name}.key.pem", directory / f"{name}.pem"
        with (directory / "lock").open("w") as lock:
            flock(lock, LOCK_EX)  # another session may begin at the same time
            kept = _kept(key, trusted)
            if kept is not None:
                return kept
            _make((*EVERYWHERE, *others), key, trusted)
        made = Identity(_context(key, key), trusted)
    except OSError as error:
        raise ServerError(f"No certificate for HTTPS can be kept: {error}") from None
    on_made(trusted)
    return made


def _directory() -> Path:
    if sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        said = Path(os.environ.get("XDG_DATA_HOME", ""))
        base = said if said.is_absolute() else Path.home() / ".local/share"
    return base / "emulator" / "https"


def _kept(key: Path, trusted: Path) -> Identity | None:
    """The identity in these files; None if there is none that is valid for some time."""
    try:
        age = time() - min(key.stat().st_mtime, trusted.stat().st_mtime)
        return Identity(_context(key, key), trusted) if 0 <= age < _KEPT.total_seconds() else None
    except OSError:  # which an SSLError is, too
        return None


def _make(names: Sequence[str], key: Path, trusted: Path) -> None:
    try:
        import trustme
    except ImportError:
        command = install_command("trustme")
        raise ServerError(
            f"--https needs the package trustme, which makes certificates: install it with `{command}`, or give a "
            "certificate of your own with --https-key-path and --https-cert-path"
        ) from None
    since = datetime.now(UTC) - timedelta(days=1)  # clocks differ
    authority = trustme.CA(organization_name="workers-emulator", organization_unit_name="for this machine only")
    leaf = authority.issue_cert(*names, not_before=since, not_after=since + _VALID)
    write_private(key, leaf.private_key_and_cert_chain_pem.bytes())
    write_private(trusted, authority.cert_pem.bytes())


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Raises OSError, which an SSLError is."""

    def refuse() -> NoReturn:
        raise ServerError(f"the private key in {shown_path(key)} has a password: give one without")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key, refuse)
    context.set_alpn_protocols(["http/1.1"])
    return context
