import os
from pathlib import Path

import pytest

from pdesolve.artifacts.atomic import previous, write_folder


def content(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_a_folder_is_written_with_its_parents(tmp_path):
    write_folder(tmp_path / "a" / "b", {"one": b"1", "two": b"2"})
    assert content(tmp_path / "a" / "b") == {"one": b"1", "two": b"2"}


def test_a_newer_folder_takes_the_place_of_the_older(tmp_path):
    write_folder(tmp_path / "a", {"one": b"1", "two": b"2"})
    write_folder(tmp_path / "a", {"one": b"3"})
    assert content(tmp_path / "a") == {"one": b"3"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


# The flushes: of each of the two files, of the new folder, of its parent (too late to fail).
@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on posix only")
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_full_disk_keeps_the_older_folder(tmp_path, monkeypatch, failing):
    write_folder(tmp_path / "a", {"one": b"1"})
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_folder(tmp_path / "a", {"one": b"2", "two": b"2"})
    assert content(tmp_path / "a") == {"one": b"1"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_stop_at_either_rename_keeps_one_whole_folder(tmp_path, monkeypatch, failing):
    write_folder(tmp_path / "a", {"one": b"1"})
    rename, calls = Path.rename, []

    def stopped(path, target):
        calls.append(path)
        if len(calls) == failing:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "a", {"one": b"2"})
    monkeypatch.undo()
    kept = tmp_path / "a" if failing == 1 else previous(tmp_path / "a")
    assert content(kept) == {"one": b"1"}
    write_folder(tmp_path / "a", {"one": b"3"})
    assert content(tmp_path / "a") == {"one": b"3"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
