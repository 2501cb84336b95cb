"""Reads from a configuration which addresses a binding may send from and to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.section import Key, Section

KIND: Final = "email"
KEYS: Final[Mapping[str, Key]] = {"send_email": Key(checks.ARRAY)}
_ADDRESSES: Final = Check(
    "an array of addresses",
    lambda value: isinstance(value, list) and all(map(checks.TEXT.accepts, value)),
)
SENDING_KEYS: Final[Mapping[str, Check]] = {
    "name": checks.BINDING,
    "destination_address": checks.TEXT,
    "allowed_destination_addresses": _ADDRESSES,
    "allowed_sender_addresses": _ADDRESSES,
    "remote": checks.BOOLEAN,
}


class Sending(NamedTuple):
    """Which addresses a binding may send to and from; None means any."""

    destination_address: str | None = None
    allowed_destination_addresses: Sequence[str] | None = None
    allowed_sender_addresses: Sequence[str] | None = None


def read_sendings(section: Section) -> None:
    """Read the valid bindings."""
    for path, item in section.items("send_email"):
        sound = section.read_object(path, item, SENDING_KEYS, required=("name",))
        if "destination_address" in sound and "allowed_destination_addresses" in sound:
            text = "wrangler refuses this beside destination_address"
            section.findings.error((*path, "allowed_destination_addresses"), text)
            continue
        if "name" not in sound or not section.claim(sound["name"], (*path, "name")):
            continue
        if sound.get("remote"):
            section.findings.not_here((*path, "remote"), "has no effect here: no message leaves this machine")
        settings = Sending(*(sound.get(field) for field in Sending._fields))
        section.bind(KIND, sound["name"], settings, (*path, "name"))
