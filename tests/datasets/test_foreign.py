import h5py
import numpy as np
import pytest
import torch

from pdesolve.datasets import (
    AtTimes,
    NonFiniteError,
    Pairs,
    SchemaError,
    SplitError,
    UnknownFormatError,
    Window,
    open_dataset,
)
from pdesolve.datasets.formats import convert


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def written(path, arrays, points=(), frames=0, **attributes):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values)
        for axis, number in zip("xyz", points, strict=False):
            file[f"{axis}-coordinate"] = (np.arange(number) + 0.5) / number
        if frames:
            file["t-coordinate"] = np.linspace(0, 2, frames + 1, dtype="float32")
        file.attrs.update(attributes)
    return path


def flow(*shape):
    return {
        name: random(*shape, seed=k) for k, name in enumerate(("density", "pressure", "Vx", "Vy"))
    }


PDEBENCH = {
    "1d": ({"tensor": random(20, 3, 8)}, (8,), 3),
    "nested": ({"tensor": random(1, 20, 3, 8, dtype="float64")}, (8,), 3),
    "darcy": ({"tensor": random(20, 1, 6, 5), "nu": random(20, 6, 5, seed=1)}, (6, 5), 0),
    "flow": (flow(20, 3, 6, 5), (6, 5), 3),
    "incompressible": (
        {
            "velocity": random(20, 3, 6, 5, 2),
            "particles": random(20, 3, 6, 5, 1, seed=1),
            "force": random(20, 6, 5, 2, seed=2),
            "t": np.tile(np.linspace(0, 1, 3, dtype="float32"), (20, 1)),
        },
        (),
        0,
    ),
}
PDEGYM = {
    "NS-Sines": {"velocity": random(9, 4, 3, 6, 5)},
    "NS-SL": {"velocity": random(9, 4, 2, 5, 6)},
    "SE-AF": {"solution": random(9, 2, 6, 5)},
    "Wave-Layer": {"solution": random(9, 4, 6, 5), "c": random(9, 6, 5, seed=1)},
    "Poisson-Gauss": {"source": random(9, 6, 5), "solution": random(9, 6, 5, seed=1)},
}


def same(one, other):
    assert (one.input_names, one.output_names) == (other.input_names, other.output_names)
    assert (one.grid, one.times, one.units) == (other.grid, other.times, other.units)
    assert one.equation_parameters == other.equation_parameters
    here, there = one.batch(range(len(one))), other.batch(range(len(one)))
    assert len(one) == len(other)
    assert torch.equal(here.x, there.x)
    assert torch.equal(here.y, there.y)
    return True


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("kind", PDEBENCH)
def test_pdebench_in_place_is_what_conversion_gives(tmp_path, kind, in_memory):
    arrays, points, frames = PDEBENCH[kind]
    path = written(tmp_path / "source_periodic.hdf5", arrays, points, frames, eta=0.5)
    convert([path], tmp_path / "set")
    for split in ("train", "test"):
        window = AtTimes("all") if frames else None
        direct = open_dataset(path, split=split, window=window, in_memory=in_memory)
        converted = open_dataset(tmp_path / "set", split=split, window=window)
        assert same(direct, converted)
        assert direct.data_hash == converted.data_hash
    assert len(open_dataset(path)) == 20


@pytest.mark.parametrize("kind", PDEGYM)
def test_chunk_files_of_pdegym_are_one_set_in_place(tmp_path, kind):
    (tmp_path / kind).mkdir()
    chunks = [
        written(tmp_path / kind / f"x_{k}.nc", {n: v[cut] for n, v in PDEGYM[kind].items()})
        for k, cut in enumerate((slice(0, 4), slice(4, 5), slice(5, 9)))
    ]
    convert(chunks, tmp_path / "set")
    evolves = kind in ("NS-Sines", "NS-SL", "Wave-Layer")
    window = Pairs("all2all", fixed=True) if evolves else None
    direct = open_dataset(tmp_path / kind, split="train", window=window, in_memory=False)
    converted = open_dataset(tmp_path / "set", split="train", window=window)
    assert same(direct, converted)
    assert direct.data_hash == converted.data_hash
    assert open_dataset(tmp_path / kind).trajectories == 9


def test_parameters_that_differ_between_files_are_the_condition(tmp_path):
    (tmp_path / "set").mkdir()
    for k in range(2):
        values = {"tensor": random(4, 3, 8, seed=k)}
        written(tmp_path / "set" / f"b{k}.hdf5", values, (8,), 3, Nu=0.5 * k, rho=2.0)
    dataset = open_dataset(tmp_path / "set", window=Window(1, 1))
    assert dataset.condition_names == ("Nu",)
    assert dataset.equation_parameters == {"rho": 2.0}
    assert dataset.batch([0, 15]).condition.tolist() == [[0.0], [0.5]]


def test_values_that_are_not_finite_are_told(tmp_path):
    values = random(20, 3, 8)
    values[7, 2, 1:3] = np.nan
    path = written(tmp_path / "b.hdf5", {"tensor": values}, (8,), 3)
    dataset = open_dataset(path, in_memory=False)
    dataset.batch([6])
    with pytest.raises(NonFiniteError, match="tensor: sample 7 has 2 values"):
        dataset.batch([7])


def test_a_split_that_the_format_lacks_is_told(tmp_path):
    path = written(tmp_path / "b.hdf5", {"tensor": random(5, 3, 8)}, (8,), 3)
    for split in ("valid", "test"):  # The first tenth of five samples is none.
        with pytest.raises(SplitError, match=f"split '{split}' is empty"):
            open_dataset(path, split=split)


def test_what_only_conversion_can_read_says_so(tmp_path):
    with h5py.File(tmp_path / "h.h5", "w") as file:
        for name in ("a", "u", "bc"):
            file[f"Sample_0/{name}"] = random(6, 5) if name != "bc" else 1.0
    with pytest.raises(SchemaError, match="pdesolve data convert"):
        open_dataset(tmp_path / "h.h5")
    with h5py.File(tmp_path / "unknown.h5", "w") as file:
        file["values"] = random(6, 5)
    with pytest.raises(UnknownFormatError, match="pdesolve data convert"):
        open_dataset(tmp_path / "unknown.h5")


def flagged(data, *, sample, time, dims=None):
    data.attrs["sample_varying"], data.attrs["time_varying"] = np.bool_(sample), np.bool_(time)
    if dims:
        data.attrs["dim_varying"] = np.array(dims)


def of_the_well(path, viscosity, seed):
    """Three samples of a scalar, a vector, a field along x only, and one that all samples share."""
    text = h5py.string_dtype()
    held = [
        (0, "pressure", random(3, 4, 6, 5, seed=seed), True, True, (True, True)),
        (1, "velocity", random(3, 4, 6, 5, 2, seed=seed + 1), True, True, (True, True)),
        (0, "depth", random(3, 6, seed=seed + 2), True, False, (True, False)),
        (0, "wall", random(6, 5), False, False, (True, True)),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update({"dataset_name": "w", "grid_type": "cartesian", "n_trajectories": 3})
        file["dimensions/time"] = np.arange(4, dtype="float32")
        flagged(file["dimensions/time"], sample=False, time=True)
        for axis, points in (("x", 6), ("y", 5)):
            file[f"dimensions/{axis}"] = np.arange(points) / points
            flagged(file[f"dimensions/{axis}"], sample=False, time=False)
        file["dimensions"].attrs["spatial_dims"] = np.array(["x", "y"], text)
        file["scalars/viscosity"] = np.full(3, viscosity, "float32")
        flagged(file["scalars/viscosity"], sample=True, time=False)
        file["scalars"].attrs["field_names"] = np.array(["viscosity"], text)
        file.create_group("boundary_conditions")
        for order in range(3):
            group = file.create_group(f"t{order}_fields")
            some = [one for one in held if one[0] == order]
            group.attrs["field_names"] = np.array([one[1] for one in some], text)
            for _, name, values, sample, time, dims in some:
                group[name] = values
                flagged(group[name], sample=sample, time=time, dims=dims)
    return path


@pytest.mark.parametrize("in_memory", [True, False])
def test_folders_of_the_well_are_one_set_in_place(tmp_path, in_memory):
    files = [
        of_the_well(tmp_path / "w/data" / place, viscosity, seed)
        for place, viscosity, seed in (
            ("train/a.hdf5", 0.1, 1),
            ("train/b.hdf5", 0.2, 11),
            ("test/a.hdf5", 0.1, 21),
        )
    ]
    convert(files, tmp_path / "set")
    window = Window(1, 1, fixed=True)
    for split in ("train", "test"):
        direct = open_dataset(tmp_path / "w", split=split, window=window, in_memory=in_memory)
        converted = open_dataset(tmp_path / "set", split=split, window=window)
        # The other split's viscosities differ, so it is a condition of both.
        assert direct.condition_names == converted.condition_names == ("viscosity",)
        assert same(direct, converted)
        assert direct.data_hash == converted.data_hash
    assert len(open_dataset(files[2], split="test", window=window)) == 9
