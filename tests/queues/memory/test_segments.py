"""The log that the journal is written to: what it keeps, whatever happened to its files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.queues.memory.segments import FORMAT, Damage, Log, scan

PAYLOADS = [b"first", b"", b"third" * 20, b"\xc1\x9dJR and more"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


def written(directory: Path, payloads: list[bytes] = PAYLOADS) -> Path:
    """A log of one segment. Returns the file."""
    log = Log(directory)
    for payload in payloads:
        log.append([payload])
    log.close()
    return log.head.path


def read(directory: Path) -> tuple[list[bytes], list[str]]:
    log = Log(directory)
    try:
        return [payload for segment in log.segments for payload in segment.payloads], log.reports
    finally:
        log.close()


def test_what_was_appended_is_there_again(directory: Path) -> None:
    written(directory)
    assert read(directory) == (PAYLOADS, [])


def test_an_opened_log_is_appended_to(directory: Path) -> None:
    written(directory)
    written(directory, [b"later"])
    assert read(directory) == ([*PAYLOADS, b"later"], [])
    assert len([*directory.glob("journal-*")]) == 1


def test_segments_are_read_in_order(directory: Path) -> None:
    log = Log(directory)
    for number in range(12):
        log.append([b"%d" % number])
        log.rotate([b"head of %d" % (number + 2)])
    log.drop_oldest()
    assert log.size == sum(path.stat().st_size for path in directory.glob("journal-*"))
    log.close()
    payloads, _ = read(directory)
    assert payloads[:3] == [b"head of 2", b"1", b"head of 3"]
    assert payloads[-1] == b"head of 13"


def test_directory_and_files_are_the_owners_only(directory: Path) -> None:
    written(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_the_log_cut_off_at_any_byte_keeps_what_was_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "whole")
    content = path.read_bytes()
    ends = [len(content)]  # where each record ends, the last one first
    for payload in reversed(PAYLOADS):
        ends.append(ends[-1] - 12 - len(payload))
    for length in range(len(content)):
        directory = tmp_path / f"cut-{length}"
        directory.mkdir()
        (directory / path.name).write_bytes(content[:length])
        whole = sum(length >= end for end in ends) - 1 if length >= ends[-1] else 0
        payloads, reports = read(directory)
        assert payloads == PAYLOADS[:whole]
        is_clean = length in {*ends, 0}
        assert len(reports) == (0 if is_clean else 1)
        kept = [*directory.glob("damaged-*")]
        if not is_clean:
            [aside] = kept
            assert content[:length].endswith(aside.read_bytes())
            assert aside.name in reports[0]
        assert read(directory) == (PAYLOADS[:whole], [])  # and it is said once
        shutil.rmtree(directory)


def test_a_flipped_bit_anywhere_costs_one_record_at_most(tmp_path: Path) -> None:
    path = written(tmp_path / "whole")
    content = path.read_bytes()
    for position in range(len(content)):
        for bit in (1, 128):
            damaged = bytearray(content)
            damaged[position] ^= bit
            directory = tmp_path / f"flip-{position}-{bit}"
            directory.mkdir()
            (directory / path.name).write_bytes(damaged)
            if 16 <= position < 20:  # the version: too new, or not there
                shutil.rmtree(directory)
                continue
            payloads, reports = read(directory)
            missing = [payload for payload in PAYLOADS if payload not in payloads]
            assert len(missing) <= 1
            assert payloads == [payload for payload in PAYLOADS if payload not in missing]
            assert bool(missing) <= bool(reports)
            shutil.rmtree(directory)


def test_appending_goes_on_after_a_torn_end(directory: Path) -> None:
    path = written(directory)
    path.write_bytes(path.read_bytes()[:-3])
    written(directory, [b"later"])
    assert read(directory) == ([*PAYLOADS[:-1], b"later"], [])


def test_damage_in_the_middle_is_told_from_a_torn_end() -> None:
    frames = [*scan(b"??" + b"rubbish", 0)]
    assert frames == [Damage(0, 9, is_tail=True)]


def test_a_newer_format_is_refused_and_left_as_it_is(directory: Path) -> None:
    path = written(directory)
    content = bytearray(path.read_bytes())
    content[16] = FORMAT + 1
    path.write_bytes(content)
    with pytest.raises(EmulatorError, match=f"newer emulator, in format {FORMAT + 1}; this one reads format {FORMAT}"):
        Log(directory)
    assert path.read_bytes() == content
    assert not [*directory.glob("damaged-*")]


def test_a_directory_has_one_log_at_a_time(directory: Path) -> None:
    log = Log(directory)
    with pytest.raises(EmulatorError, match=rf"in use by another emulator \(process {os.getpid()}\)"):
        Log(directory)
    log.close()
    Log(directory).close()


def test_a_process_that_was_killed_holds_no_lock(directory: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom emulator.queues.memory.segments import Log\n"
        "Log(Path(sys.argv[1])).append([b'kept'])\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(directory)], check=False, timeout=30)
    assert read(directory) == ([b"kept"], [])


@pytest.mark.parametrize("below", ["", "deeper/down"])
def test_a_place_that_is_no_directory_is_a_sentence(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(EmulatorError, match=r"messages cannot be kept in .*file"):
        Log(file / below)


def test_on_a_full_disk_a_record_is_written_whole_or_not_at_all(small_disk: Path) -> None:
    log = Log(small_disk / "state")
    log.append([b"first"])
    with pytest.raises(OSError, match="No space left"):
        log.append([b"second", b"x" * 400_000])
    log.append([b"third"])
    log.close()
    assert read(small_disk / "state") == ([b"first", b"third"], [])


def test_on_a_full_disk_the_segment_in_use_stays_in_use(small_disk: Path) -> None:
    log = Log(small_disk / "state")
    with pytest.raises(OSError, match="No space left"):
        log.rotate([b"x" * 400_000])
    log.append([b"first"])
    log.close()
    assert read(small_disk / "state") == ([b"first"], [])


def test_a_read_only_file_system_is_a_sentence(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(EmulatorError, match="read-only file system"):
        Log(small_disk / "state")
