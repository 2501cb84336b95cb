"""The log that the journal is written to: what it keeps, whatever happened to its files."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.queues.memory import segments
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


def test_a_newer_format_is_refused_and_left_as_it_is(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FORMAT", FORMAT + 1)
    path = written(directory)
    content = path.read_bytes()
    monkeypatch.undo()
    with pytest.raises(EmulatorError, match=f"newer emulator, in format {FORMAT + 1}; this one reads format {FORMAT}"):
        Log(directory)
    assert path.read_bytes() == content
    assert not [*directory.glob("damaged-*")]


def test_one_flipped_bit_in_the_header_does_not_make_a_segment_newer(directory: Path) -> None:
    path = written(directory)
    content = path.read_bytes()
    for bit in range(8 * (len(content) - sum(12 + len(payload) for payload in PAYLOADS))):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        payloads, _ = read(directory)
        assert payloads == PAYLOADS


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


NUMBERS = range(1, 6)


def five_segments(directory: Path, *, killed: bool = False) -> list[Path]:
    """A log of five segments with three records each. Returns the files. `killed`: it did not end regularly."""
    log = Log(directory)
    for number in NUMBERS:
        if number > 1:
            log.rotate([b"head of %d" % number])
        for letter in (b"a", b"b", b"c")[: 3 if number == 1 else 2]:
            log.append([b"%d%b" % (number, letter)])
    if killed:
        copy = directory.with_name("copy")
        shutil.copytree(directory, copy)
        log.close()
        shutil.rmtree(directory)
        copy.rename(directory)
    else:
        log.close()
    return sorted(directory.glob("journal-*"))


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("number", NUMBERS)
def test_a_deleted_segment_is_reported_with_its_number_and_once(directory: Path, number: int, killed: bool) -> None:
    five_segments(directory, killed=killed)[number - 1].unlink()
    payloads, reports = read(directory)
    assert len(payloads) == 12
    assert reports == [f"segment {number} is missing from {directory}; messages that were only there are lost"]
    assert read(directory) == (payloads, [])


def test_deleted_segments_are_reported_as_a_range(directory: Path) -> None:
    paths = five_segments(directory)
    for path in paths[1:4]:
        path.unlink()
    _, reports = read(directory)
    assert reports == [f"segments 2 to 4 are missing from {directory}; messages that were only there are lost"]


def test_all_segments_deleted_are_reported_and_numbering_goes_on(directory: Path) -> None:
    for path in five_segments(directory):
        path.unlink()
    log = Log(directory)
    log.close()
    assert log.reports == [f"segments 1 to 5 are missing from {directory}; messages that were only there are lost"]
    assert log.head.number == 6
    assert read(directory) == ([], [])


def test_a_segment_that_was_cleaned_away_is_not_missing(directory: Path) -> None:
    five_segments(directory)
    log = Log(directory)
    log.drop_oldest()
    log.close()
    assert read(directory)[1] == []


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("number", NUMBERS)
def test_an_emptied_segment_is_reported(directory: Path, number: int, killed: bool) -> None:
    path = five_segments(directory, killed=killed)[number - 1]
    path.write_bytes(b"")
    payloads, reports = read(directory)
    assert len(payloads) == 12
    [report] = reports
    assert path.name in report
    assert read(directory) == (payloads, [])


@pytest.mark.parametrize("kept", [0, 1, 2])
@pytest.mark.parametrize("number", NUMBERS)
def test_a_segment_cut_off_between_two_records_is_reported(directory: Path, number: int, kept: int) -> None:
    path = five_segments(directory)[number - 1]
    lengths = [len(payload) + 12 for payload in (scan(path.read_bytes(), 0)) if isinstance(payload, bytes)]
    path.write_bytes(path.read_bytes()[: path.stat().st_size - sum(lengths[kept:])])
    payloads, reports = read(directory)
    assert len(payloads) == 12 + kept
    assert [report.partition(":")[0] for report in reports] == [f"{path} has lost {3 - kept} of 3 records"]
    assert read(directory) == (payloads, [])


def test_a_cut_end_after_a_kill_is_all_that_nobody_can_vouch_for(directory: Path) -> None:
    path = five_segments(directory, killed=True)[-1]
    path.write_bytes(path.read_bytes()[:-14])
    assert len(read(directory)[0]) == 14


def test_a_segment_under_another_name_is_left_out_and_kept(directory: Path) -> None:
    paths = five_segments(directory)
    shutil.copy(paths[0], directory / "journal-00000009.log")
    payloads, reports = read(directory)
    assert len(payloads) == 15
    assert "is segment 1 under another name" in reports[0]
    assert (directory / "damaged-journal-00000009-copy-of-1.bin").exists()


@pytest.mark.parametrize(
    "name", ["journal-x.log", "journal-00000001 (copy).log", "journal-1.log", "journal-\udce4.log", "notes"]
)
def test_other_files_are_reported_and_left_alone(directory: Path, name: str) -> None:
    written(directory)
    (directory / name).write_bytes(b"mine")
    payloads, [report] = read(directory)
    assert payloads == PAYLOADS
    assert "contains files that do not belong to the journal and are ignored: " + repr(name) in report
    assert (directory / name).read_bytes() == b"mine"


def test_a_directory_in_place_of_a_segment_is_reported(directory: Path) -> None:
    written(directory)
    (directory / "journal-00000002.log").mkdir()
    payloads, [report] = read(directory)
    assert (payloads, "journal-00000002.log" in report) == (PAYLOADS, True)


@pytest.mark.parametrize("name", ["lock", "journal-00000001.log"])
def test_a_link_in_place_of_a_file_is_not_followed(directory: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path = written(directory)
    if name == "lock":
        (directory / "lock").unlink()
        (directory / "lock").symlink_to(victim)
        with pytest.raises(EmulatorError, match="messages cannot be kept in"):
            Log(directory)
    else:
        path.unlink()
        path.symlink_to(victim)
        assert "is missing" in read(directory)[1][1]
    assert victim.read_bytes() == b"precious"


def test_a_link_in_place_of_a_draft_is_not_followed(directory: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path = written(directory)
    path.write_bytes(path.read_bytes()[:-3])
    path.with_suffix(".draft").symlink_to(victim)
    assert read(directory)[0] == PAYLOADS[:-1]
    assert victim.read_bytes() == b"precious"


def test_a_directory_that_others_can_write_to_is_reported(directory: Path) -> None:
    written(directory)
    directory.chmod(0o777)
    assert "other users can write to" in read(directory)[1][0]


def test_a_damaged_log_on_a_full_disk_leaves_no_copy_at_each_start(small_disk: Path) -> None:
    directory = small_disk / "state"
    path = written(directory, [b"first", b"x" * 100_000, b"last"])
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    (small_disk / "filler").write_bytes(b"x" * (256 * 1024 - 100_000 - 16 * 1024 - 40 * 1024))
    names = []
    for _ in range(3):
        payloads, reports = read(directory)
        assert payloads == [b"first", b"last"]
        assert "cannot be copied (no space left on device): the file stays as it is" in reports[0]
        names.append({each.name for each in directory.iterdir()})
    assert names == [{"lock", path.name}] * 3
    (small_disk / "filler").unlink()
    payloads, reports = read(directory)
    assert payloads == [b"first", b"last"]
    assert "are kept in damaged-" in reports[0]


def test_the_directory_is_put_on_the_disk_when_a_segment_is_made_or_goes(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(directory)
    synced: list[bool] = []
    real = os.fsync

    def fsync(file: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(file).st_mode))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    log.rotate([])
    assert synced == [True]
    log.drop_oldest()
    assert synced == [True, True]
    log.close()


@pytest.mark.parametrize("word", [b"", b"\0" * 50, b"{", b"4711\n", b'{"process": "x"}', b"\xff"])
def test_a_damaged_lock_file_says_nothing(directory: Path, word: bytes) -> None:
    five_segments(directory)
    (directory / "lock").write_bytes(word)
    payloads, reports = read(directory)
    assert (len(payloads), reports) == (15, [])
