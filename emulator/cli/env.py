"""`emulator env`: prints what points wrangler and the SDKs at a running emulator, for a shell to run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Final

import click

from emulator.cli.options import session_options
from emulator.cli.rest import ACCOUNT_ID, API_TOKEN, find_session
from emulator.server.addresses import API_PREFIX

NAMES: Final = ("CLOUDFLARE_API_BASE_URL", "CLOUDFLARE_BASE_URL", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN")
"""The variables: the address as wrangler and as the SDKs call it, the account, and the token."""

_NODE_TRUST: Final = "NODE_EXTRA_CA_CERTS"
"""The variable that says which certificates wrangler trusts besides the usual ones."""

SHELLS: Final = ("bash", "zsh", "fish", "powershell")

_POSIX_SET: Final = """[ -z "${PS1-}" ] || PS1="(emulator) ${PS1#"(emulator) "}\""""
_POSIX_UNSET: Final = """[ -z "${PS1-}" ] || PS1="${PS1#"(emulator) "}\""""
_FISH_SET: Final = """\
functions -q _emulator_prompt; or functions -c fish_prompt _emulator_prompt
function fish_prompt; echo -n '(emulator) '; _emulator_prompt; end"""
_FISH_UNSET: Final = """\
functions -q _emulator_prompt; and begin
  functions -e fish_prompt; functions -c _emulator_prompt fish_prompt; functions -e _emulator_prompt
end"""
_POWERSHELL_SET: Final = """\
if (-not $global:_EmulatorPrompt) { $global:_EmulatorPrompt = $function:prompt }
function global:prompt { "(emulator) " + (& $global:_EmulatorPrompt) }"""
_POWERSHELL_UNSET: Final = """\
if ($global:_EmulatorPrompt) { $function:prompt = $global:_EmulatorPrompt; $global:_EmulatorPrompt = $null }"""


@click.command(short_help="Print the variables that point wrangler at a running emulator.")
@click.option(
    "--shell",
    type=click.Choice(SHELLS),
    help="Whose syntax to print.  [default: that of $SHELL; on Windows, PowerShell's]",
)
@click.option("--unset", is_flag=True, help="Print what takes the variables back.")
@session_options
def env(shell: str | None, *, unset: bool, url: str | None, token: str | None) -> None:
    """Print the variables that point wrangler and Cloudflare's SDKs at a running emulator. The prompt of a shell that
    has them begins with (emulator).

    \b
    Examples:
      emulator env                              the variables, and their values
      eval "$(emulator env)"                    set them in this shell
      npx wrangler queues list                  asks the emulator from then on
      eval "$(emulator env --unset)"            and Cloudflare again
      emulator env --shell fish | source        in fish
      emulator env --shell powershell | Out-String | Invoke-Expression
    """
    values: dict[str, str] | None = None
    trusted = os.environ.get(_NODE_TRUST, "")
    if not unset:
        session = find_session(url, token)
        base_url = f"{session.url}{API_PREFIX}"
        values = dict(zip(NAMES, (base_url, base_url, ACCOUNT_ID, session.api_token or API_TOKEN), strict=True))
        if _is_self_made(session.trusted):
            if not trusted or _is_self_made(trusted):
                values[_NODE_TRUST] = session.trusted
            else:
                click.echo(f"{_NODE_TRUST} is set already: add {session.trusted} to {trusted} for wrangler", err=True)
    names = (*NAMES, _NODE_TRUST) if _is_self_made(trusted) else NAMES
    for line in _lines(shell or _guessed_shell(), names, values):
        click.echo(line)


def _guessed_shell() -> str:
    name = PurePath(os.environ.get("SHELL", "")).name
    if name in SHELLS:
        return name
    return "powershell" if name == "pwsh" or (not name and sys.platform == "win32") else "bash"


def _is_self_made(trusted: str) -> bool:
    """Whether a file of certificates was made for `emulator dev --https`."""
    return PurePath(trusted).match("emulator/https/*.pem")


def _lines(shell: str, names: Sequence[str], values: Mapping[str, str] | None) -> Iterator[str]:
    """What sets variables to `values`, or takes those of the `names` back; and the same for the prompt."""
    if shell == "fish":
        yield _FISH_UNSET if values is None else _FISH_SET
        yield from (
            (f"set -e {name}" for name in names)
            if values is None
            else (f"set -gx {name} {_fish_quoted(value)}" for name, value in values.items())
        )
    elif shell == "powershell":
        yield _POWERSHELL_UNSET if values is None else _POWERSHELL_SET
        yield from (
            (f"Remove-Item Env:{name} -ErrorAction SilentlyContinue" for name in names)
            if values is None
            else (f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in values.items())
        )
    else:
        yield _POSIX_UNSET if values is None else _POSIX_SET
        yield from (
            (f"unset {name}" for name in names)
            if values is None
            else (f"export {name}={shlex.quote(value)}" for name, value in values.items())
        )


def _fish_quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
