import contextlib
import struct
import zlib

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from pdesolve.datasets import DataError, MissingFileError, TruncatedFileError, UnsafeFileError
from pdesolve.datasets.formats import matlab, matlab5

VALUES = np.random.default_rng(0).normal(size=(5, 4, 3, 2))


def read(path, name="u", rows=slice(None)):
    with matlab.open_matlab(path) as variables:
        return variables[name].read(rows)


def element(order, kind, content):
    return struct.pack(f"{order}II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def handmade(path, values, *, order="<", stored="f8", kind=9, compressed=False):
    """A file as MATLAB writes it: little or big endian, numbers narrower than their class."""
    real = np.asarray(values).astype(f"{order}{stored}").tobytes(order="F")
    parts = (
        (6, struct.pack(f"{order}II", 6, 0)),
        (5, struct.pack(f"{order}{values.ndim}i", *values.shape)),
        (1, b"solution"),
        (kind, real),
    )
    matrix = element(order, 14, b"".join(element(order, *part) for part in parts))
    if compressed:
        packed = zlib.compress(matrix)
        matrix = struct.pack(f"{order}II", 15, len(packed)) + packed
    mark = struct.pack(f"{order}HH", 0x0100, 0x4D49)
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + mark + matrix)
    return path


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u2", "i4", "u8"])
def test_arrays_that_scipy_writes_are_read(tmp_path, dtype, compressed):
    values = (100 * VALUES).astype(dtype)
    savemat(tmp_path / "a.mat", {"u": values, "v": values[0]}, do_compression=compressed)
    assert np.array_equal(read(tmp_path / "a.mat"), values)
    assert np.array_equal(read(tmp_path / "a.mat", rows=slice(1, 3)), values[1:3])
    assert np.array_equal(read(tmp_path / "a.mat", "v"), values[0])
    assert read(tmp_path / "a.mat").dtype == dtype


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("stored", "kind"), [("f8", 9), ("u1", 2), ("i2", 3), ("f4", 7)])
def test_byte_order_and_narrow_storage_are_undone(tmp_path, order, stored, kind, compressed):
    # MATLAB stores doubles that are small integers in one byte each.
    values = np.arange(60.0).reshape(5, 4, 3)
    path = handmade(
        tmp_path / "a.mat", values, order=order, stored=stored, kind=kind, compressed=compressed
    )
    assert matlab.version(path) == "5"
    assert np.array_equal(read(path, "solution"), values)
    assert read(path, "solution").dtype == np.float64


def test_text_structures_cells_complex_and_empty_arrays_are_passed_over(tmp_path):
    cells = np.empty(2, object)
    cells[:] = [1.0, "a"]
    content = {"u": VALUES, "text": "abc", "s": {"x": 1.0}, "c": cells, "z": VALUES * 1j}
    savemat(tmp_path / "a.mat", content)
    with matlab.open_matlab(tmp_path / "a.mat") as variables:
        assert list(variables) == ["u"]


def test_version_is_told_by_the_first_bytes(tmp_path):
    savemat(tmp_path / "five.bin", {"u": VALUES})
    with h5py.File(tmp_path / "seven.bin", "w", userblock_size=512) as file:
        file["u"] = VALUES.T
    with (tmp_path / "seven.bin").open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    (tmp_path / "text.mat").write_text("no MATLAB file")
    versions = [matlab.version(tmp_path / n) for n in ("five.bin", "seven.bin", "text.mat")]
    assert versions == ["5", "7.3", None]
    assert np.array_equal(read(tmp_path / "seven.bin", rows=slice(2, 4)), VALUES[2:4])


def test_missing_file_is_told(tmp_path):
    with pytest.raises(MissingFileError):
        matlab.version(tmp_path / "a.mat")


def test_length_of_a_truncated_file_is_told(tmp_path):
    path = handmade(tmp_path / "a.mat", VALUES)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TruncatedFileError, match=f"{size - 1} bytes, expected at least {size}"):
        read(path)


def test_declared_bytes_far_above_the_stored_are_refused(tmp_path, monkeypatch):
    savemat(tmp_path / "a.mat", {"u": np.zeros((64, 64, 64, 4))}, do_compression=True)
    monkeypatch.setattr(matlab5, "BOMB_BYTES", 2**20)
    monkeypatch.setattr(matlab5, "BOMB_RATIO", 100)
    with pytest.raises(UnsafeFileError, match=r"u: 8388608 bytes declared and \d+ stored"):
        read(tmp_path / "a.mat")


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_bytes_never_give_an_untyped_error(tmp_path, compressed):
    # scipy's reader crashes the interpreter over some of these.
    path = tmp_path / "a.mat"
    savemat(path, {"u": VALUES[:2, :2]}, do_compression=compressed)
    whole = path.read_bytes()
    told = 0
    for place in range(126, len(whole)):
        for flip in (255, 1):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            with contextlib.suppress(KeyError):  # A flip in the name is another name.
                try:
                    read(path)
                except DataError:
                    told += 1
    # Only a compressed array carries a checksum of its numbers.
    assert told > (len(whole) if compressed else 20)
