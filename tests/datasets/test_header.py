import h5py
import numpy as np
import pytest

from pdesolve.datasets import ChecksumError, IncompleteFileError
from pdesolve.datasets.header import Header


def test_header_holds_what_was_written(kinds, stored):
    header = Header(stored).usable()
    assert header.spec == kinds.spec
    assert header.complete
    assert header.written.tolist() == list(range(7))
    assert header.records.seed.tolist() == [100 + index for index in range(7)]
    assert np.allclose(header.fixed["t0_fields/distance"], kinds.distance, atol=1e-7)
    assert header.mask(0) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["pdesolve/samples/seed"].__setitem__(3, 5),
        lambda file: file["t0_fields/coefficient"].attrs.__setitem__("units", "km"),
        lambda file: file.attrs.__setitem__("generator", "someone else"),
    ],
)
def test_changed_attributes_and_records_are_noticed(stored, change):
    with h5py.File(stored, "r+") as file:
        change(file)
    with pytest.raises(ChecksumError, match="attributes, records or constants differ"):
        Header(stored).usable()


def test_unfinished_file_says_how_much_is_there(kinds, tmp_path):
    with kinds.begin(tmp_path / "a.h5") as writer:
        kinds.put(writer, 1)
        kinds.put(writer, 4)
    header = Header(tmp_path / "a.h5.tmp")
    with pytest.raises(IncompleteFileError, match=r"2 of 7 samples.*pdesolve generate"):
        header.usable()
    assert header.usable(allow_partial=True).written.tolist() == [1, 4]


def test_mask_is_the_sample_s_own_where_each_has_one(kinds, tmp_path):
    masks = np.ones((7, 9, 6), bool)
    masks[3, 0] = False
    header = Header(kinds.write_all(tmp_path / "a.h5", mask=masks))
    assert np.array_equal(header.mask(3), masks[3])
