from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.storage.files import PIECE_BYTES, Files, FilesInDirectory, FilesInMemory


@pytest.fixture(params=["directory", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return FilesInDirectory(tmp_path / "files") if request.param == "directory" else FilesInMemory()


async def pieces(*given: bytes, error: BaseException | None = None) -> AsyncIterator[bytes]:
    for each in given:
        yield each
    if error is not None:
        raise error


async def content(files: Files, name: str, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in await files.read(name, start, end)])


async def test_a_value_is_read_as_a_whole_and_in_parts(files: Files) -> None:
    value = bytes(range(256)) * 2048 + b"end"
    name = await files.write(pieces(value[:1000], b"", value[1000:]))
    assert await content(files, name, 0, len(value)) == value
    assert await content(files, name, 700, 703) == value[700:703]
    assert await content(files, name, 5, 5) == b""
    read = [len(piece) async for piece in await files.read(name, 0, len(value))]
    assert max(read) <= PIECE_BYTES


async def test_a_value_that_breaks_off_leaves_nothing(files: Files) -> None:
    with pytest.raises(ZeroDivisionError):
        await files.write(pieces(b"half", error=ZeroDivisionError()))
    assert files.contents() == {}


async def test_a_value_that_is_removed_can_be_read_to_its_end(files: Files) -> None:
    value = b"x" * (3 * PIECE_BYTES)
    name = await files.write(pieces(value))
    reading = await files.read(name, 0, len(value))
    first = await anext(reading)
    files.delete([name, "unknown"])
    assert first + b"".join([piece async for piece in reading]) == value
    with pytest.raises(EmulatorError):
        await files.read(name, 0, 1)


async def test_contents_can_be_replaced(files: Files) -> None:
    kept = await files.write(pieces(b"kept"))
    before = files.contents()
    await files.write(pieces(b"later"))
    files.delete([kept])
    files.replace(before)
    assert files.contents() == before == {kept: b"kept"}


async def test_what_nobody_knows_is_removed(tmp_path: Path) -> None:
    files = FilesInDirectory(tmp_path)
    known, unknown = await files.write(pieces(b"1")), await files.write(pieces(b"2"))
    files.keep_only({known})
    assert set(files.contents()) == {known} != {unknown}


async def test_a_file_that_is_cut_off_or_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    files = FilesInDirectory(tmp_path / "files")
    name = await files.write(pieces(b"whole"))
    next((tmp_path / "files").glob("??/*")).write_bytes(b"cut")
    with pytest.raises(EmulatorError, match="is cut off"):
        await content(files, name, 0, 5)
    (tmp_path / "file").touch()
    with pytest.raises(EmulatorError, match="cannot be written"):
        await FilesInDirectory(tmp_path / "file").write(pieces(b"x"))
