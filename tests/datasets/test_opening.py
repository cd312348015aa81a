import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

from pdesolve.datasets import (
    FileBusyError,
    IncompleteFileError,
    MissingFileError,
    NotHDF5Error,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedDtypeError,
    open_dataset,
)
from pdesolve.datasets.opening import open_file


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"\n <html>", "HTML"),
        (b"PK\x03\x04....", "zip"),
        (b"\x1f\x8b....", "gzip"),
        (b"version https://git-lfs.github.com/spec/v1", "git-lfs"),
        (b"MATLAB 5.0 MAT-file", "MATLAB"),
        (b"\x93NUMPY....", "NumPy"),
        (b"\0" * 4096, "no known kind"),
    ],
)
def test_other_kinds_are_named(tmp_path, content, kind):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(NotHDF5Error, match=kind):
        open_file(path)


def test_missing_file_names_the_nearest(stored):
    with pytest.raises(MissingFileError, match=r"kinds\.h5"):
        open_file(stored.with_name("kinda.h5"))
    with pytest.raises(FileNotFoundError):
        open_file(stored.parent)


def test_missing_file_with_an_unfinished_one_says_how_to_go_on(kinds, tmp_path):
    kinds.begin(tmp_path / "a.h5").__exit__(None, None, None)
    with pytest.raises(IncompleteFileError, match="pdesolve generate"):
        open_dataset(tmp_path / "a.h5")


def test_truncation_anywhere_is_told(stored):
    whole = stored.read_bytes()
    for part in range(256):
        stored.write_bytes(whole[: len(whole) * part // 256])
        with pytest.raises(TruncatedFileError if part else NotHDF5Error):
            open_dataset(stored)
    stored.write_bytes(whole[:-1])
    with pytest.raises(TruncatedFileError, match=f"{len(whole) - 1} bytes.*{len(whole)} bytes"):
        open_dataset(stored)


def test_file_that_a_writer_holds_is_busy(kinds, tmp_path):
    kinds.begin(tmp_path / "a.h5").__exit__(None, None, None)
    holder = (
        "import h5py, sys\n"
        "with h5py.File(sys.argv[1], 'r+'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    unfinished = tmp_path / "a.h5.tmp"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(unfinished)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"held\n"
        for attempt in (
            lambda: open_dataset(unfinished, allow_partial=True),
            lambda: kinds.begin(tmp_path / "a.h5", resume=True),
            lambda: kinds.begin(tmp_path / "a.h5"),
        ):
            with pytest.raises(FileBusyError, match="wait"):
                attempt()
        process.stdin.close()
    open_dataset_fails_only_for_want_of_samples(unfinished)


def open_dataset_fails_only_for_want_of_samples(path):
    with pytest.raises(IncompleteFileError, match="0 of 7"):
        open_dataset(path)


def soft_link(file, _):
    file["t0_fields/link"] = h5py.SoftLink("/t0_fields/solution")


def external_link(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["x"] = np.zeros(3)
    file["t0_fields/link"] = h5py.ExternalLink("other.h5", "/x")


def dangling_link(file, _):
    file["link"] = h5py.ExternalLink("nowhere.h5", "/x")


def external_storage(file, folder):
    (folder / "secret").write_bytes(b"12345678")
    file.create_dataset("x", (2,), "f4", external=[(str(folder / "secret"), 0, 8)])


def virtual_dataset(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["x"] = np.zeros(3)
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "x", (3,))
    file.create_virtual_dataset("x", layout)


def shape_bomb(file, _):
    file.create_dataset("pdesolve/bomb", (2**40,), "f4", chunks=(1024,))


def deep_shape_bomb(file, _):
    file.create_dataset("a/b/c/d", (2**20, 2**14), "u1", chunks=(1, 64), compression="gzip")


@pytest.mark.parametrize(
    "make",
    [
        soft_link,
        external_link,
        dangling_link,
        external_storage,
        virtual_dataset,
        shape_bomb,
        deep_shape_bomb,
    ],
)
def test_unsafe_structure_is_refused_before_data_are_read(stored, tmp_path, make):
    with h5py.File(stored, "r+") as file:
        make(file, tmp_path)
    before = resident_bytes()
    with pytest.raises(UnsafeFileError, match=re.escape(str(stored))):
        open_dataset(stored)
    assert resident_bytes() - before < 100e6


@pytest.mark.parametrize(
    "dtype",
    [
        h5py.string_dtype(),
        h5py.vlen_dtype(np.float32),
        h5py.ref_dtype,
        np.dtype([("a", "f4"), ("b", "i4")]),
        np.dtype("S4"),
    ],
)
def test_other_than_numbers_is_refused(stored, dtype):
    with h5py.File(stored, "r+") as file:
        file.create_dataset("pdesolve/odd", (3,), dtype)
    with pytest.raises(UnsupportedDtypeError, match="/pdesolve/odd"):
        open_dataset(stored)


def test_named_type_is_refused(stored):
    with h5py.File(stored, "r+") as file:
        file["pdesolve/kind"] = np.dtype("f8")
    with pytest.raises(UnsupportedDtypeError, match="named type"):
        open_dataset(stored)


def test_ring_of_groups_ends(stored):
    with h5py.File(stored, "r+") as file:
        file["pdesolve/ring"] = file["pdesolve"]
    with open_file(stored) as file:
        assert "pdesolve/ring/ring/stats" in file


def resident_bytes() -> int:
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
