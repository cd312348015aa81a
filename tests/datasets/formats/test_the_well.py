import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdesolve import Grid
from pdesolve.datasets import SchemaError, UnknownFormatError, open_dataset, validate, verify
from pdesolve.datasets.formats import convert, the_well

TEXT = h5py.string_dtype()
TENSOR_NAMES = {2: ("xx", "xy", "yx", "yy"), 3: tuple(a + b for a in "xyz" for b in "xyz")}


def names(*values):
    return np.array(values, dtype=TEXT)


def flag(item, *, sample, time, dims=None):
    item.attrs["sample_varying"], item.attrs["time_varying"] = np.bool_(sample), np.bool_(time)
    if dims is not None:
        item.attrs["dim_varying"] = np.array(dims, bool)


def write(path, fields, *, coordinates, times, samples, boundaries=(), scalars=(), **root):
    """A file by The Well's rules; fields are (order, name, values, sample, time, dims)."""
    with h5py.File(path, "w") as file:
        file.attrs["dataset_name"], file.attrs["grid_type"] = "waves", "cartesian"
        file.attrs["n_spatial_dims"], file.attrs["n_trajectories"] = len(coordinates), samples
        file.attrs["simulation_parameters"] = names()
        file.attrs.update(root)
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = names(*"xyz"[: len(coordinates)])
        dimensions["time"] = np.asarray(times, "float32")
        flag(dimensions["time"], sample=np.ndim(times) == 2, time=True)
        for axis, values in zip("xyz", coordinates, strict=False):
            dimensions[axis] = np.asarray(values, "float32")
            flag(dimensions[axis], sample=False, time=False)
        walls = file.create_group("boundary_conditions")
        for axis, kind in zip("xyz", boundaries, strict=False):
            wall = walls.create_group(f"{axis}_{kind.lower()}")
            wall.attrs["bc_type"] = kind
            wall.attrs["associated_dims"], wall.attrs["associated_fields"] = names(axis), names()
            flag(wall, sample=False, time=False)
            wall["mask"] = np.ones(len(coordinates["xyz".index(axis)]), bool)
        group = file.create_group("scalars")
        group.attrs["field_names"] = names(*(name for name, *_ in scalars))
        for name, values, sample, time in scalars:
            group[name] = np.asarray(values, "float32")
            flag(group[name], sample=sample, time=time)
        for order in range(3):
            group = file.create_group(f"t{order}_fields")
            held = [one for one in fields if one[0] == order]
            group.attrs["field_names"] = names(*(one[1] for one in held))
            for _, name, values, sample, time, dims in held:
                group[name] = values
                flag(group[name], sample=sample, time=time, dims=dims)
    return path


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def waves(path, samples=3, **changes):
    pressure = random(samples, 4, 6, 5)
    settings = {
        "coordinates": [np.arange(6) / 6, np.arange(5) / 4],
        "times": np.arange(4) / 2,
        "samples": samples,
        "boundaries": ("PERIODIC", "WALL"),
        **changes,
    }
    fields = [(0, "pressure", pressure, True, True, (True, True))]
    return write(path, fields, **settings), pressure


def described(draw, dims, samples, frames, shape, seed):
    """Random fields of every order that vary along random directions."""
    fields = []
    for number in range(draw(st.integers(1, 4))):
        order = draw(st.integers(0, 2 if dims > 1 else 1))
        varies = draw(st.tuples(*[st.booleans()] * dims))
        sample, time = draw(st.booleans()) or number == 0, draw(st.booleans())
        kept = [n for n, one in zip(shape, varies, strict=True) if one]
        size = [*[samples] * sample, *[frames] * time, *kept, *[dims] * order]
        values = random(*size, seed=seed + number)
        fields.append((order, f"field{number}", values, sample, time, varies))
    return fields


@st.composite
def files(draw):
    dims, samples, frames = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 4)),
    )
    shape = draw(st.tuples(*[st.integers(2, 6)] * dims))
    fields = described(draw, dims, samples, frames, shape, draw(st.integers(0, 2**31)))
    periodic = draw(st.tuples(*[st.booleans()] * dims))
    return dims, samples, frames, shape, fields, periodic


def round_trip(tools, case):
    dims, samples, frames, shape, fields, periodic = case
    coordinates = [
        np.arange(n) / (n if wraps else n - 1) for n, wraps in zip(shape, periodic, strict=True)
    ]
    times = np.arange(frames) / 4
    with tools.temporary_folder() as folder:
        path = write(
            folder / "wave.hdf5",
            fields,
            coordinates=coordinates,
            times=times,
            samples=samples,
            boundaries=["PERIODIC" if wraps else "OPEN" for wraps in periodic],
            scalars=[("mass", np.arange(samples) + 1.0, True, False), ("gamma", 1.5, False, False)],
        )
        assert validate(path) == []
        (written,) = convert([path], folder / "set")
        read = tools.read_back(written)
    assert read.spec.grid == Grid(shape, 1.0, periodic)
    assert read.spec.times == tuple(times)
    numbers = read.spec.equation_parameters | {k: v.tolist() for k, v in read.parameters.items()}
    assert numbers == {"gamma": 1.5, "mass": 1.0 if samples == 1 else [1.0, 2, 3, 4][:samples]}
    for order, name, values, sample, time, varies in fields:
        lead = values.shape[: sample + time]
        kept = [n if one else 1 for n, one in zip(shape, varies, strict=True)]
        components = (dims,) * order
        whole = np.broadcast_to(
            values.reshape(*lead, *kept, *components), (*lead, *shape, *components)
        )
        if order < 2:
            assert tools.same(read.fields[name], whole)
            continue
        for k, pair in enumerate(TENSOR_NAMES[dims]):
            part = whole[..., k // dims, k % dims]
            assert tools.same(read.fields[f"{name}_{pair}"], part)


CASES = given(case=files())
SETTINGS = {"deadline": None, "derandomize": True, "database": None}
test_round_trip_loses_nothing = settings(max_examples=12, **SETTINGS)(CASES(round_trip))
test_many_round_trips_lose_nothing = pytest.mark.slow(
    settings(max_examples=500, **SETTINGS)(CASES(round_trip))
)


def test_split_is_the_folder_of_the_file(tmp_path, tools):
    files = []
    for number, split in enumerate(("train", "train", "valid", "test")):
        folder = tmp_path / "theirs" / "data" / split
        folder.mkdir(parents=True, exist_ok=True)
        path, values = waves(folder / f"{number}.hdf5")
        with h5py.File(path, "a") as file:
            file["t0_fields/pressure"][...] = values + number
        files.append(path)
    written = convert(files, tmp_path / "waves")
    assert [p.relative_to(tmp_path / "waves" / "data").as_posix() for p in written] == [
        "train/waves_0.h5",
        "train/waves_1.h5",
        "valid/waves_2.h5",
        "test/waves_3.h5",
    ]
    assert all(verify(p).errors == () for p in written)
    assert (tmp_path / "waves" / "stats.yaml").is_file()


def test_steady_file_opens_for_training(tmp_path):
    medium, pressure = random(3, 6, 5), random(3, 1, 6, 5, seed=1)
    fields = [
        (0, "medium", medium, True, False, (True, True)),
        (0, "pressure", pressure, True, True, (True, True)),
    ]
    coordinates = [np.arange(6) / 5, np.arange(5) / 4]
    path = write(tmp_path / "a.hdf5", fields, coordinates=coordinates, times=[0.0], samples=3)
    (written,) = convert([path], tmp_path / "set")
    dataset = open_dataset(written)
    assert (dataset.input_names, dataset.output_names) == (("medium",), ("pressure",))
    assert np.array_equal(dataset.batch(range(3)).y, pressure)


@pytest.mark.parametrize(
    ("coordinates", "boundaries", "grid"),
    [
        # Cell centres of [-1, 1], nodes with both ends, and one of each.
        ([np.arange(8) / 4 - 0.875] * 2, (), Grid((8, 8), 2.0, False, "cell")),
        ([np.arange(8) / 4 - 1, np.arange(5) / 4], (), Grid((8, 5), (1.75, 1.0), False)),
        (
            [np.arange(8) / 8 + 1 / 16, np.arange(5) / 4],
            (),
            Grid((8, 5), 1.0, False, offset=(1 / 16, 0)),
        ),
        (
            [np.arange(8) / 8, np.arange(5) / 5 + 0.1],
            ("periodic",),
            Grid((8, 5), 1.0, (True, False), offset=(0, 0.1)),
        ),
    ],
)
def test_placement_follows_from_the_coordinates(tmp_path, tools, coordinates, boundaries, grid):
    shape = [len(one) for one in coordinates]
    fields = [(0, "u", random(2, 3, *shape), True, True, (True, True))]
    path = write(
        tmp_path / "a.h5",
        fields,
        coordinates=coordinates,
        times=np.arange(3),
        samples=2,
        boundaries=boundaries,
    )
    (written,) = convert([path], tmp_path / "set")
    found = tools.read_back(written)
    assert found.spec.grid == grid
    assert json.loads(found.provenance["origin"]) == [float(np.float32(c[0])) for c in coordinates]


def test_boundaries_are_kept_as_text(tmp_path, tools):
    path, _ = waves(tmp_path / "a.h5")
    (written,) = convert([path], tmp_path / "set")
    kept = json.loads(tools.read_back(written).provenance["source_boundaries"])
    assert [(one["bc_type"], one["associated_dims"]) for one in kept] == [
        ("PERIODIC", ["x"]),
        ("WALL", ["y"]),
    ]


def test_scalar_that_differs_between_files_is_a_condition(tmp_path, tools):
    files = []
    for number in range(2):
        scalars = [("mach", float(number), False, False), ("gamma", 1.5, False, False)]
        path, values = waves(tmp_path / f"{number}.h5", scalars=scalars)
        with h5py.File(path, "a") as file:
            file["t0_fields/pressure"][...] = values + number
        files.append(path)
    read = [tools.read_back(p) for p in convert(files, tmp_path / "set")]
    assert [r.parameters["mach"].tolist() for r in read] == [[0.0] * 3, [1.0] * 3]
    assert read[0].spec.equation_parameters == {"gamma": 1.5}


def test_own_files_are_opened_and_not_converted(tmp_path):
    path, _ = waves(tmp_path / "a.h5")
    (written,) = convert([path], tmp_path / "set")
    assert validate(written) == []
    with pytest.raises(UnknownFormatError, match="pdesolve wrote it: open it with open_dataset"):
        convert([written], tmp_path / "again")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grid_type": "spherical"}, "grid_type: 'spherical', expected 'cartesian'"),
        ({"scalars": [("energy", np.arange(4.0), False, True)]}, "a scalar that varies in time"),
        ({"times": [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 4]]}, "time: sample 2 differs"),
        ({"times": [0, 2, 1, 3]}, "times that do not ascend"),
        ({"times": [0, 1, 2]}, r"pressure has shape \(3, 4, 6, 5\), expected \(3, 3, 6, 5\)"),
        ({"coordinates": [np.arange(6) ** 2, np.arange(5)]}, "x: distances between 1 and 9"),
        ({"n_trajectories": 4}, r"expected \(4, 4, 6, 5\)"),
    ],
)
def test_what_cannot_be_held_is_refused(tmp_path, changes, reason):
    path, _ = waves(tmp_path / "a.h5", **changes)
    with pytest.raises(SchemaError, match=reason):
        convert([path], tmp_path / "set")


def test_times_of_each_sample_that_agree_are_taken(tmp_path, tools):
    path, _ = waves(tmp_path / "a.h5", times=[[0, 1, 2, 3]] * 3)
    (written,) = convert([path], tmp_path / "set")
    assert tools.read_back(written).spec.times == (0.0, 1.0, 2.0, 3.0)


def test_lacking_groups_are_told(tmp_path):
    path, _ = waves(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["scalars"], file["t2_fields"]
    assert the_well.detects(path) == "no group scalars, t2_fields"


def test_truncated_files_are_told(tmp_path, tools):
    path, _ = waves(tmp_path / "a.h5")
    tools.truncations_are_told([path], tmp_path)
