"""The registry of the sessions that run on this machine, through which other commands and sessions find them.

Each session has a file, `PID.json`, in a directory that only its user may enter, because the session's API token is in
it. The directory is `emulator` in the user's runtime directory, else one below the system's temporary directory. If a
process ended without removing its file, the next reader removes it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from emulator.base.errors import EmulatorError

if TYPE_CHECKING:
    from ssl import SSLContext

_ANYWHERE: Final = {"//0.0.0.0:": "//127.0.0.1:", "//[::]:": "//[::1]:"}


class Running(msgspec.Struct, frozen=True):
    """A session that is ready at `url`. `started_at` is in seconds since the epoch, `configs` are the absolute paths of
    its configurations, and `api_token` is what its REST API requires; empty for none. `consumes` maps the queues that
    it consumes to the consuming workers' names; the name is empty if clients pull. Two sessions share their queues if
    they have one of `groups` in common; see `groups_of`. `trusted` is the file with the certificates that a client has
    to trust, if the session speaks HTTPS."""

    url: str
    pid: int
    started_at: float
    configs: tuple[str, ...] = ()
    api_token: str = ""
    consumes: Mapping[str, str] = {}
    groups: tuple[str, ...] = ()
    trusted: str = ""

    def belongs_to(self, other: Running) -> bool:
        """Whether the two share their queues."""
        return not set(self.groups).isdisjoint(other.groups)

    def verify(self) -> SSLContext | bool:
        """What httpx verifies the session's certificate by: those that it says, whatever hosts they are for, because
        the registry says who it is. Raises OSError if they cannot be read."""
        if not self.trusted:
            return True
        import ssl

        context = ssl.create_default_context(cafile=self.trusted)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # one that was given need not be an authority's
        return context


def groups_of(configs: Iterable[Path], share: str | None = None) -> tuple[str, ...]:
    """The groups that a session with these configurations belongs to: the git repositories that they lie in, or where
    there is none their directories; and the one that was named, if one was."""
    places = {_repository(path.resolve().parent) for path in configs}
    return (*sorted(places), *([f"share {share}"] if share else []))


def _repository(directory: Path) -> str:
    for place in (directory, *directory.parents):
        if (place / ".git").exists():
            return f"repository {place}"
    return f"directory {directory}"


def reachable(url: str) -> str:
    """`url`, or the loopback address if it is bound to every address."""
    for bound, loopback in _ANYWHERE.items():
        url = url.replace(bound, loopback, 1)
    return url


def register(running: Running) -> Path:
    """Register a session, replacing an earlier one of its process. Returns the file, which must be removed at the end.
    Raises OSError."""
    directory = home()
    make_private(directory)
    path = directory / f"{running.pid}.json"
    write_private(path, msgspec.json.encode(running))
    return path


def home() -> Path:
    """The directory in which a session of this process is registered."""
    return next(iter(_directories()))


def running_sessions() -> list[Running]:
    """The user's sessions on this machine, oldest first. Removes the files of processes that are gone."""
    found = []
    for directory in _directories():
        if not _is_private(directory):
            continue
        for path in directory.glob("*.json"):
            session = _read(path)
            if session is None:
                continue
            if _is_alive(session.pid):
                found.append(session)
            else:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
    return sorted(found, key=lambda session: session.started_at)


def choose(sessions: Sequence[Running], directory: Path) -> Running:
    """The session that a command in `directory` (absolute) means: the one whose configuration is in it or nearest above
    it, else the only one. Raises EmulatorError if there is none, or if several are equally near."""
    if not sessions:
        raise EmulatorError(
            "No emulator is running: start one with `emulator dev`, or give the address of one with --url"
        )
    depths = [_depth(session, directory) for session in sessions]
    nearest = [session for session, depth in zip(sessions, depths, strict=True) if depth == max(depths)]
    if len(nearest) == 1:
        return nearest[0]
    lines = [f"  {session.url}  {', '.join(session.configs)}" for session in nearest]
    text = "\n".join([f"{len(nearest)} emulators are running, and any of them could be meant:", *lines])
    raise EmulatorError(text, hint="Choose one with --url.")


def _depth(session: Running, directory: Path) -> int:
    """How deep the directory of a session's nearest configuration is, of those that contain `directory`; -1 if there is
    none."""
    parents = (Path(config).parent for config in session.configs)
    return max((len(parent.parts) for parent in parents if directory.is_relative_to(parent)), default=-1)


def _directories() -> Iterator[Path]:
    """The directories in which files may be, the best one first. All are searched, because one terminal may lack the
    variable."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute() and Path(runtime).is_dir() and os.access(runtime, os.W_OK):
        yield Path(runtime) / "emulator"
    # What tempfile.gettempdir() would return, without the milliseconds that importing it adds to start-up.
    yield Path(os.environ.get("TMPDIR") or "/tmp") / f"emulator-{os.getuid()}"


def make_private(directory: Path) -> None:
    """Make a directory that only its user may enter. Raises OSError, also if it is there and somebody else's."""
    with suppress(FileExistsError):
        directory.mkdir(0o700)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{directory} is not a directory that you own")
    if stat.S_IMODE(status.st_mode) != 0o700:
        directory.chmod(0o700)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its user may read, at once as a whole. Raises OSError."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    # Nobody can have put a link there: O_EXCL refuses one.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)


def _is_private(path: Path, kind: int = stat.S_IFDIR) -> bool:
    """Whether `path` is of that kind and not a link, belongs to the user, and is closed to everybody else."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_IFMT(status.st_mode) == kind and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _read(path: Path) -> Running | None:
    if not _is_private(path, stat.S_IFREG):
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _is_alive(pid: int) -> bool:
    """Whether a process of this user has this id."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return False  # PermissionError too: the id now belongs to another user's process
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return True  # macOS has no /proc
    return state != b"Z"  # killed, and nobody has asked for its exit status: containers often have nobody who does
