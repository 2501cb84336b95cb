"""Where `wrangler dev` keeps what bindings keep: an SQLite database for each namespace or bucket, named by a hash, and
its values as files in a directory beside it, named after it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple


class KeptObject(NamedTuple):
    """What is kept of one namespace or bucket: a database, and the directory of the values."""

    name: str
    database: Path
    values: Path


def kept_objects(directory: Path, of: str) -> Iterator[KeptObject]:
    """What is kept below `directory`, in the order of the names. `of` is the name of Miniflare's class."""
    for values in sorted(directory.glob("*/blobs")):
        name = values.parent.name
        database = directory / of / f"{object_id(of, name)}.sqlite"
        if database.is_file():
            yield KeptObject(name, database, values)


def object_id(of: str, name: str) -> str:
    """The id of a Durable Object of the class `of`, which is made of its name."""
    key = sha256(of.encode()).digest()
    of_name = hmac.digest(key, name.encode(), "sha256")[:16]
    return (of_name + hmac.digest(key, of_name, "sha256")[:16]).hex()
