import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdesolve import Grid
from pdesolve.datasets import SchemaError, UnsafeFileError
from pdesolve.datasets.formats import convert, pdebench, pdebench_groups


def write(path, values, *, names=None, box=(0.0, 1.0), surplus=0):
    """One group a sample; values are (samples, T, X [Y], c)."""
    count, frames, *space, _ = values.shape
    with h5py.File(path, "w") as file:
        for name, sample in zip(names or [f"{k:04d}" for k in range(count)], values, strict=True):
            group = file.create_group(name)
            group.create_dataset("data", data=sample, compression="lzf")
            for axis, points in zip("xyz", space, strict=False):
                step = (box[1] - box[0]) / points
                group[f"grid/{axis}"] = np.float32(box[0] + step * (np.arange(points) + 0.5))
            group["grid/t"] = np.linspace(0, 5, frames + surplus, dtype="float32")
            group.attrs["config"] = "sim:\n  seed: 1\n"
    return path


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def round_trip(tools, samples, frames, space, channels, surplus, dtype, seed):
    channels = 1 if len(space) == 1 else channels
    values = random(samples, frames, *space, channels, dtype=dtype, seed=seed)
    with tools.temporary_folder() as folder:
        path = write(folder / "2D_diff-react_NA_NA.h5", values, box=(-1, 1), surplus=surplus)
        written = convert([path], folder / "set")
        read = {p.parent.name: tools.read_back(p) for p in written}
    names = pdebench_groups.CHANNELS[len(space), channels]
    for k, name in enumerate(names):
        parts = [read[split].fields[name] for split in ("train", "test") if split in read]
        assert tools.same(np.concatenate(parts), values[..., k])
    spec = read["train"].spec
    assert spec.grid == Grid(space, 2.0, False, "cell")
    assert spec.times == tuple(np.linspace(0, 5, frames + surplus, dtype="float32")[:frames])
    assert len(read["train"].status) == samples - samples // 10


CASES = given(
    samples=st.integers(1, 12),
    frames=st.integers(1, 4),
    space=st.lists(st.integers(2, 9), min_size=1, max_size=2).map(tuple),
    channels=st.integers(1, 2),
    surplus=st.integers(0, 1),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**31),
)
SETTINGS = {"deadline": None, "derandomize": True, "database": None}
test_round_trip_loses_nothing = settings(max_examples=12, **SETTINGS)(CASES(round_trip))
test_many_round_trips_lose_nothing = pytest.mark.slow(
    settings(max_examples=500, **SETTINGS)(CASES(round_trip))
)


def test_last_tenth_is_for_testing_whatever_the_groups_are_called(tmp_path, tools):
    values = random(10, 2, 5, 4, 2)
    # A subset of a published file: no group 0023, on which PDEBench's own loader relies.
    path = write(tmp_path / "subset.h5", values, names=[f"{7 * k:04d}" for k in range(10)])
    train, test = (tools.read_back(p) for p in convert([path], tmp_path / "set"))
    assert np.array_equal(train.fields["inhibitor"], values[:9, ..., 1])
    assert np.array_equal(test.fields["activator"], values[9:, ..., 0])
    assert train.provenance["source_config"] == "sim:\n  seed: 1\n"


def test_content_and_not_the_extension_decides(tmp_path):
    path = write(tmp_path / "looks_like_arrays.hdf5", random(2, 2, 5, 1))
    assert pdebench_groups.detects(path) is None
    assert "no `tensor`" in pdebench.detects(path)


def test_groups_that_differ_are_all_listed(tmp_path):
    path = write(tmp_path / "d.h5", random(4, 2, 5, 1))
    with h5py.File(path, "a") as file:
        file["0001/grid/x"][...] *= 2
        del file["0003/data"]
        file["0003/data"] = random(3, 5, 1)
    with pytest.raises(SchemaError, match=r"0001/grid/x differs; 0003/data has shape \(3, 5, 1\)"):
        convert([path], tmp_path / "set")


def test_fewer_times_than_frames_are_told(tmp_path):
    path = write(tmp_path / "d.h5", random(4, 3, 5, 1), surplus=-1)
    with pytest.raises(SchemaError, match=r"0000/grid/t: \(2,\) times for 3 frames, expected 3 or"):
        convert([path], tmp_path / "set")


def test_unknown_number_of_channels_is_told(tmp_path):
    path = write(tmp_path / "d.h5", random(4, 3, 5, 7))
    with pytest.raises(SchemaError, match=r"0000/data: shape \(3, 5, 7\), expected \(T, X, 1\)"):
        convert([path], tmp_path / "set")


def test_group_without_coordinates_is_told(tmp_path):
    path = write(tmp_path / "d.h5", random(2, 3, 5, 1))
    with h5py.File(path, "a") as file:
        del file["0001/grid"]
    with pytest.raises(SchemaError, match="0001/grid/x: no data set"):
        convert([path], tmp_path / "set")


def test_soft_links_between_groups_are_refused(tmp_path):
    path = write(tmp_path / "d.h5", random(2, 3, 5, 1))
    with h5py.File(path, "a") as file:
        file["0002"] = h5py.SoftLink("/0000")
    with pytest.raises(UnsafeFileError, match="0002: a soft or external link"):
        convert([path], tmp_path / "set")


def test_truncated_files_are_told(tmp_path, tools):
    path = write(tmp_path / "d.h5", random(3, 3, 5, 1))
    tools.truncations_are_told([path], tmp_path)
