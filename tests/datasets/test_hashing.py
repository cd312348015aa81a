import h5py
import numpy as np
import pytest
import xxhash

from pdesolve.datasets import open_dataset
from pdesolve.datasets.hashing import data_hash, description_hash, sample_hash
from pdesolve.datasets.header import Header


def test_sample_hash_is_xxh3_over_the_bytes_in_order():
    first, second = np.arange(6, dtype="<f4"), np.arange(4, dtype="<f8")
    expected = xxhash.xxh3_64_intdigest(first.tobytes() + second.tobytes())
    assert sample_hash([first, second]) == expected
    assert sample_hash([first.astype(">f4"), second]) == expected
    assert sample_hash([np.stack([first, first], 1)[:, 0], second]) == expected


def test_stored_hash_covers_fields_by_name_and_then_parameters(kinds, stored):
    sample = kinds.sample(3)
    arrays = [sample["coefficient"], sample["solution"], sample["velocity"], np.array([1.5])]
    with h5py.File(stored) as file:
        assert int(file["pdesolve/samples/xxh3"][3]) == sample_hash(arrays)


def test_data_hash_does_not_see_times(kinds, stored, tmp_path):
    with kinds.begin(tmp_path / "slow.h5") as writer:
        for index in range(kinds.samples):
            kinds.put(writer, index, seconds=3.0 + index, residual=0.5)
        slow = writer.finish()
    assert open_dataset(slow).data_hash == open_dataset(stored).data_hash


@pytest.mark.parametrize("change", ["field", "seed", "parameter", "constant", "order"])
def test_data_hash_sees_all_else(kinds, stored, tmp_path, change):
    constants = {"distance": kinds.distance + (change == "constant")}
    with kinds.begin(tmp_path / "other.h5", constants=constants) as writer:
        for index in range(kinds.samples):
            settings = {"seed": 100 + index, "parameters": {"viscosity": 0.5 * index}}
            fields = kinds.sample(index)
            if index == 2 and change == "field":
                fields["solution"][0, 0] += 1e-6
            if index == 2 and change == "seed":
                settings["seed"] = 99
            if index == 2 and change == "parameter":
                settings["parameters"] = {"viscosity": 1.0 + 1e-15}
            writer.write(index, fields, **settings)
        other = open_dataset(writer.finish())
    dataset = open_dataset(stored)
    if change == "order":
        other = other.subset([1, 0, *range(2, kinds.samples)])
    assert other.data_hash != dataset.data_hash


def test_mask_of_each_sample_counts_with_its_sample(stored):
    header = Header(stored)
    masks = np.ones((7, 9, 6), "u1")
    masks[5, 0, 0] = 0
    fixed = header.fixed | {"pdesolve/mask/domain": masks}
    full = header.fixed | {"pdesolve/mask/domain": np.ones_like(masks)}

    def of(rows, fixed):
        return data_hash(header.spec, header.records, np.array(rows), fixed)

    assert of([0, 5], fixed) != of([0, 5], full)
    assert of([0, 4], fixed) == of([0, 4], full)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.attrs.__setitem__("licence", "other"),
        lambda file: file["t0_fields/solution"].attrs.__setitem__("units", "km"),
        lambda file: file["dimensions/x"].__setitem__(0, 0.1),
        lambda file: file["pdesolve/samples/residual"].__setitem__(0, 1.0),
        lambda file: file["pdesolve/stats/solution"].attrs.__setitem__("mean", 1.0),
        lambda file: file["t0_fields/distance"].__setitem__((0, 0), 3.0),
        lambda file: file.create_group("more"),
    ],
)
def test_description_hash_sees_everything_but_fields(stored, change):
    with h5py.File(stored, "r+") as file:
        before = description_hash(file)
        file["t0_fields/solution"][0] = 0.0
        assert description_hash(file) == before
        change(file)
        assert description_hash(file) != before


def test_hash_of_a_rejected_sample_does_not_count(kinds, tmp_path):
    with kinds.begin(tmp_path / "r.h5") as writer:
        for index in range(kinds.samples):
            kinds.put(writer, index, rejected=index == 6)
        rejected = open_dataset(writer.finish())
    whole = open_dataset(kinds.write_all(tmp_path / "w.h5"))
    assert rejected.data_hash == whole.subset(range(6)).data_hash != whole.data_hash
