"""Reads R2 buckets from a configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.section import Key, Section

KIND: Final = "r2"
KEYS: Final[Mapping[str, Key]] = {"r2_buckets": Key(checks.ARRAY)}
BUCKET_NAME: Final = checks.matching(
    "a name of 3 to 63 lowercase letters, digits and hyphens that neither begins nor ends with a hyphen",
    re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"),
)
BUCKET_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "bucket_name": BUCKET_NAME,
    "preview_bucket_name": BUCKET_NAME,
    "jurisdiction": checks.TEXT,
    "remote": checks.BOOLEAN,
}


class Bucket(NamedTuple):
    """A bucket: its name, or the name of the binding where the configuration gives none."""

    name: str


def read_buckets(section: Section) -> None:
    """Read the valid buckets. As under wrangler dev, a `preview_bucket_name` counts more than the `bucket_name`."""
    for name, sound, path in section.stores("r2_buckets", BUCKET_KEYS):
        chosen = sound.get("preview_bucket_name") or sound.get("bucket_name") or name
        section.bind(KIND, name, Bucket(chosen), path)
