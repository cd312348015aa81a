import h5py
import numpy as np
import pytest

from pdesolve.datasets import ChecksumError, TruncatedFileError
from pdesolve.datasets.handle import Handle
from pdesolve.datasets.stored import Stored

VALUES = np.random.default_rng(0).normal(size=(6, 4, 5, 7))
STORED = {"u": Stored("u", "ntxy")}
SPACE = (slice(None), slice(None))
CHUNK = (1, 4, 5, 7)


def opened(path, **storage):
    with h5py.File(path, "w") as file:
        file.create_dataset("u", data=VALUES, **storage)
    return Handle(path, STORED, (5, 7), SPACE)


def flip_a_bit(path, sample):
    with h5py.File(path) as file:
        place = file["u"].id.get_chunk_info(sample).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 9] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"chunks": CHUNK, "fletcher32": True},
        {"chunks": CHUNK, "compression": "gzip"},
        {"chunks": (3, 2, 5, 4)},
    ],
)
def test_storage_makes_no_difference(tmp_path, storage):
    handle = opened(tmp_path / "a.h5", **storage)
    lines = np.array([5, 1, 2, 2, 0, 3])
    times = np.array([[0, 1], [2, 3], [2, 3], [3, 0], [1, 1], [2, 3]])
    for _ in range(2):
        read = handle.frames("u", 0, lines, times)
        assert np.array_equal(read, VALUES[lines[:, None], times])


def test_a_checksum_is_verified_when_its_sample_is_first_read(tmp_path):
    path = tmp_path / "a.h5"
    opened(path, chunks=CHUNK, fletcher32=True)
    flip_a_bit(path, 3)
    handle, frame = Handle(path, STORED, (5, 7), SPACE), np.array([[2]])
    assert np.array_equal(handle.frames("u", 0, np.array([2]), frame)[0, 0], VALUES[2, 2])
    for _ in range(2):
        with pytest.raises(ChecksumError, match="u, samples 3 to 3"):
            handle.frames("u", 0, np.array([3]), frame)


def test_a_file_cut_while_open_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    handle, some = opened(path), (np.array([5]), np.array([[3]]))
    handle.frames("u", 0, *some)
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 1)
    with pytest.raises(TruncatedFileError, match="while in use"):
        handle.frames("u", 0, *some)
