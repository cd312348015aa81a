import h5py
import numpy as np
import pytest

from pdesolve.datasets import ChecksumError, TruncatedFileError
from pdesolve.datasets.mapped import MappedField, MappedFile, chunk_offsets, mapped_field
from pdesolve.datasets.stored import Stored

VALUES = np.random.default_rng(0).normal(size=(5, 4, 6, 9, 2))
SPACE = (slice(None, None, 2), slice(1, None, 3))


def written(path, values=VALUES, **storage):
    with h5py.File(path, "w") as file:
        file["odd"] = np.arange(3, dtype="u1")  # What follows begins at any byte.
        file.create_dataset("u", data=values, **storage)
    return path


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<i2"])
@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"chunks": (1, 4, 6, 9, 2)},
        {"chunks": (2, 3, 6, 9, 2), "fletcher32": True},
        {"chunks": (1, 1, 6, 9, 2)},
    ],
)
def test_frames_are_those_that_hdf5_reads(tmp_path, dtype, storage):
    path = written(tmp_path / "a.h5", (10 * VALUES).astype(dtype), **storage)
    lines, times = np.array([4, 0, 4]), np.array([[3, 1], [0, 1], [2, 2]])
    with h5py.File(path) as file:
        data = file["u"]
        field = mapped_field(data, Stored("u", "ntxyc"), MappedFile(path), (3, 3), SPACE)
        expected = data[()][lines[:, None], times][:, :, ::2, 1::3, 1]
    read = field.frames(lines, times, 1)
    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(read, expected)
    assert field.has_checksums == ("fletcher32" in storage)


def test_axes_may_come_in_any_order(tmp_path):
    path = written(tmp_path / "a.h5", VALUES[None].swapaxes(3, 4))
    with h5py.File(path) as file:
        stored = Stored("u", "1ntyxc", part=1)
        field = mapped_field(file["u"], stored, MappedFile(path), (3, 3), SPACE)
    read = field.frames(np.array([2]), np.array([[3, 0]]), 0)
    assert np.array_equal(read[0], VALUES[2, [3, 0], ::2, 1::3, 1])


def test_a_field_repeats_along_an_axis_that_is_not_stored(tmp_path):
    path = written(tmp_path / "a.h5", VALUES[:, 0, :, 0, 0])
    with h5py.File(path) as file:
        space = (slice(None), slice(None))
        field = mapped_field(file["u"], Stored("u", "nx"), MappedFile(path), (6, 9), space)
    read = field.frames(np.array([3]), np.array([[0]]), 0)
    assert np.array_equal(read[0, 0], np.tile(VALUES[3, 0, :, :1, 0], (1, 9)))


@pytest.mark.parametrize(
    "storage",
    [
        {"chunks": (1, 4, 6, 9, 2), "compression": "lzf"},
        {"chunks": (1, 4, 6, 9, 2), "shuffle": True},
        {"chunks": (1, 4, 3, 9, 2)},
        {"chunks": (1, 4, 6, 9, 1)},
    ],
)
def test_encoded_or_divided_frames_are_left_to_hdf5(tmp_path, storage):
    path = written(tmp_path / "a.h5", **storage)
    with h5py.File(path) as file:
        memory = MappedFile(path)
        assert mapped_field(file["u"], Stored("u", "ntxyc"), memory, (3, 3), SPACE) is None


def test_chunks_that_nobody_wrote_and_user_blocks_are_left_to_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        assert chunk_offsets(file.create_dataset("u", (4, 3), "f4", chunks=(2, 3))) is None
        assert chunk_offsets(file.create_dataset("v", (4, 3), "f4")) is None
    with h5py.File(tmp_path / "b.h5", "w", userblock_size=512) as file:
        assert chunk_offsets(file.create_dataset("u", data=VALUES)) is None


def test_a_file_cut_while_it_is_mapped_is_refused(tmp_path):
    path = written(tmp_path / "a.h5")
    with h5py.File(path) as file:
        field = mapped_field(file["u"], Stored("u", "ntxyc"), MappedFile(path), (3, 3), SPACE)
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.truncate(size // 2)
    with pytest.raises(TruncatedFileError, match=f"{size // 2} bytes.*{size} bytes.*cut while"):
        field.frames(np.array([4]), np.array([[3]]), 0)


def test_places_behind_the_end_are_refused(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(64))

    def field(start):
        place = {"component": 0, "has_checksums": False}
        return MappedField(
            MappedFile(path), np.array([[start]]), (2, 3), (12, 4), np.dtype("f4"), **place
        )

    assert field(40).frames(np.array([0]), np.array([[0]]), 0).shape == (1, 1, 2, 3)
    with pytest.raises(ChecksumError, match="4 bytes behind the end"):
        field(44)
