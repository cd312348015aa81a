import json

import h5py
import pytest

from pdesolve.datasets import write_manifest
from pdesolve.datasets.set_report import verify_set


@pytest.fixture
def folder(kinds, tmp_path):
    kinds.write_all(tmp_path / "data/train/kinds.h5")
    write_manifest(tmp_path)
    return tmp_path


def kinds_of(folder, **settings):
    return [finding.kind for finding in verify_set(folder, **settings).errors]


def test_a_set_as_its_manifest_says_is_sound(folder):
    report = verify_set(folder)
    assert (report.verdict, report.samples) == ("sound", 7)
    assert report.data_hash == json.loads((folder / "MANIFEST.json").read_text())["data_hash"]


def test_a_set_without_manifest_is_unfinished(folder):
    (folder / "MANIFEST.json").unlink()
    report = verify_set(folder)
    assert report.verdict == "unfinished"
    assert "pdesolve data join" in str(report.errors[0])


def test_another_size_or_other_bytes_are_told(folder):
    path = folder / "data/train/kinds.h5"
    with h5py.File(path, "r+") as file:
        file["t0_fields/coefficient"][0, 0, 0] += 1
    assert kinds_of(folder, full=False) == []
    assert kinds_of(folder) == ["ChecksumError"]


def test_files_that_are_not_listed_are_told(folder, kinds):
    kinds.write_all(folder / "data/train/more.h5")
    assert kinds_of(folder) == ["SchemaError", "ChecksumError"]
    (folder / "data/train/kinds.h5").unlink()
    assert "MissingFileError" in kinds_of(folder)


def test_a_sample_in_two_splits_is_told(folder, kinds):
    kinds.write_all(folder / "data/test/kinds.h5")
    assert kinds_of(folder) == ["SplitError"]


def test_a_file_that_does_not_open_is_told(folder):
    (folder / "data/train/kinds.h5").write_bytes(b"")
    assert kinds_of(folder) == ["NotHDF5Error"]
