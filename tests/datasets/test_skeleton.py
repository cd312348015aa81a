import h5py
import numpy as np
import pytest

from pdesolve.datasets import SchemaError


def test_a_chunk_is_one_sample_with_a_checksum_and_no_other_filter(stored):
    with h5py.File(stored) as file:
        data = file["t0_fields/solution"]
        assert data.chunks == (1, 1, 9, 6)
        assert data.fletcher32
        assert data.id.get_create_plist().get_nfilters() == 1


def test_contiguous_layout_has_no_filter(kinds, tmp_path):
    with h5py.File(kinds.write_all(tmp_path / "c.h5", layout="contiguous")) as file:
        data = file["t0_fields/coefficient"]
        assert data.chunks is None
        mapped = np.memmap(
            tmp_path / "c.h5", "<f4", "r", data.id.get_offset(), (kinds.samples, 9, 6)
        )
        assert np.array_equal(mapped[3], kinds.sample(3)["coefficient"])


@pytest.mark.parametrize("layout", ["chunked", "contiguous"])
def test_unwritten_samples_are_nan(kinds, tmp_path, layout):
    begun = kinds.begin(tmp_path / "n.h5", layout=layout)
    with begun as writer:
        kinds.put(writer, 2)
    with h5py.File(tmp_path / "n.h5.tmp") as file:
        values = file["t1_fields/velocity"][()]
        status = file["pdesolve/samples/status"][()]
    assert np.isnan(values[[0, 1, 3, 4, 5, 6]]).all()
    assert np.isfinite(values[2]).all()
    assert status.tolist() == [0, 0, 1, 0, 0, 0, 0]


def test_names_of_the_layout_are_no_provenance(kinds, tmp_path):
    with pytest.raises(SchemaError, match="grid_type"):
        kinds.begin(tmp_path / "a.h5", provenance={"grid_type": "mine"})
    assert list(tmp_path.iterdir()) == []
