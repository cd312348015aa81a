import hashlib
import math

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdesolve import Grid
from pdesolve.datasets import (
    SchemaError,
    SplitError,
    UnknownFormatError,
    UnsafeFileError,
    open_dataset,
    verify,
)
from pdesolve.datasets.formats import convert, pdebench

CELLS = {axis: f"{axis}-coordinate" for axis in "xyz"}


def centres(points, left=0.0, right=1.0):
    step = (right - left) / points
    return (left + step * (np.arange(points) + 0.5)).astype("float32")


def write(path, arrays, *, shape, frames=None, surplus=1, box=(0.0, 1.0), **attributes):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values)
        for axis, points in zip("xyz", shape, strict=False):
            file[CELLS[axis]] = centres(points, *box)
        if frames:
            file["t-coordinate"] = np.linspace(0, 2, frames + surplus, dtype="float32")
        for name, value in attributes.items():
            file.attrs[name] = value
    return path


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def burgers(path, samples=20, frames=3, points=8, **settings):
    values = random(samples, frames, points)
    attributes = {"Nu": 0.01, **settings}
    return write(path, {"tensor": values}, shape=(points,), frames=frames, **attributes), values


# One row a family: data sets with their axes, axes of space, attributes.
FAMILIES = {
    "advection": ({"tensor": "ntx"}, 1, ("beta",)),
    "reaction": ({"tensor": "ntx"}, 1, ("Nu", "rho")),
    "regenerated": ({"tensor": "1ntx"}, 1, ("Nu",)),
    "darcy": ({"tensor": "n1xy", "nu": "nxy"}, 2, ("beta",)),
    "flow1": (dict.fromkeys(("density", "pressure", "Vx"), "ntx"), 1, ("eta", "zeta")),
    "flow2": (dict.fromkeys(("density", "pressure", "Vx", "Vy"), "ntxy"), 2, ("eta", "zeta", "M")),
    "flow3": (dict.fromkeys(("density", "pressure", "Vx", "Vy", "Vz"), "ntxyz"), 3, ("eta", "M")),
}


def round_trip(tools, family, samples, frames, points, surplus, dtype, seed):
    layout, dims, attributes = FAMILIES[family]
    sizes = {"n": samples, "t": frames, "1": 1} | dict(zip("xyz", points, strict=True))
    arrays = {
        name: random(*(sizes[axis] for axis in axes), dtype=dtype, seed=seed + k)
        for k, (name, axes) in enumerate(layout.items())
    }
    steady = family == "darcy"
    with tools.temporary_folder() as folder:
        path = write(
            folder / "source_periodic.hdf5",
            arrays,
            shape=points[:dims],
            frames=None if steady else frames,
            surplus=surplus,
            **{name: 0.5 for name in attributes},
        )
        written = convert([path], folder / "set")
        read = {p.parent.name: tools.read_back(p) for p in written}
    named = {"tensor": "solution", "nu": "coefficient"} if steady else {"tensor": "u"}
    first = samples // 10
    for name, values in arrays.items():
        # The test samples come first in the source, the training samples after them.
        parts = [read[k].fields[named.get(name, name)] for k in ("test", "train") if k in read]
        assert tools.same(np.concatenate(parts), values[0] if family == "regenerated" else values)
    spec = read["train"].spec
    assert spec.grid == Grid(points[:dims], 1.0, not steady, "cell")
    assert spec.equation_parameters == dict.fromkeys(attributes, 0.5)
    if not steady:
        assert spec.times == tuple(np.linspace(0, 2, frames + surplus, dtype="float32")[:frames])
    assert len(read["train"].status) == samples - first


CASES = given(
    family=st.sampled_from(sorted(FAMILIES)),
    samples=st.integers(1, 12),
    frames=st.integers(1, 5),
    points=st.tuples(*[st.integers(2, 9)] * 3),
    surplus=st.sampled_from([0, 1]),
    dtype=st.sampled_from(["float32", "float64", "float16"]),
    seed=st.integers(0, 2**31),
)
SETTINGS = {"deadline": None, "derandomize": True, "database": None}
test_round_trip_loses_nothing = settings(max_examples=14, **SETTINGS)(CASES(round_trip))
test_many_round_trips_lose_nothing = pytest.mark.slow(
    settings(max_examples=500, **SETTINGS)(CASES(round_trip))
)


def test_first_tenth_is_for_testing(tmp_path, tools):
    path, values = burgers(tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5")
    train, test = (tools.read_back(p).fields["u"] for p in convert([path], tmp_path / "burgers"))
    assert np.array_equal(test, values[:2])
    assert np.array_equal(train, values[2:])


def test_provenance_and_statistics_are_there(tmp_path, tools):
    path, _ = burgers(tmp_path / "b.hdf5", box=(-1.0, 1.0))
    written = convert([path], tmp_path / "burgers")
    provenance = tools.read_back(written[0]).provenance
    assert provenance["source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance["license"] == "CC-BY-4.0"
    assert provenance["origin"] == "[-1.0]"
    assert tools.read_back(written[0]).spec.grid == Grid((8,), 2.0, True, "cell")
    assert all(verify(p).errors == () and verify(p).warnings == () for p in written)
    assert (tmp_path / "burgers" / "stats.yaml").is_file()


def test_darcy_opens_for_training(tmp_path):
    coefficient, solution = random(11, 6, 5), random(11, 1, 6, 5, seed=1)
    path = write(tmp_path / "d.hdf5", {"nu": coefficient, "tensor": solution}, shape=(6, 5))
    convert([path], tmp_path / "darcy")
    dataset = open_dataset(tmp_path / "darcy", split="train")
    batch = dataset.batch(range(10))
    assert (dataset.input_names, dataset.output_names) == (("coefficient",), ("solution",))
    assert np.array_equal(batch.x[:, 0], coefficient[1:])
    assert np.array_equal(batch.y, solution[1:])


def test_trajectories_open_for_training(tmp_path):
    path, values = burgers(tmp_path / "b.hdf5", samples=10)
    convert([path], tmp_path / "burgers")
    batch = open_dataset(tmp_path / "burgers", split="train").batch(range(9))
    assert np.array_equal(batch.x[:, 0], values[1:, 0])
    assert np.array_equal(batch.y[:, 0], values[1:, -1])


def test_content_and_not_the_extension_decides(tmp_path):
    path, _ = burgers(tmp_path / "burgers.h5")
    assert pdebench.detects(path) is None
    assert pdebench.detects(path.rename(tmp_path / "no_extension")) is None


def test_rank_four_without_coefficient_is_one_dimensional(tmp_path, tools):
    values = random(1, 12, 3, 8)
    path = write(tmp_path / "again.hdf5", {"tensor": values}, shape=(8,), frames=3)
    train, test = (tools.read_back(p) for p in convert([path], tmp_path / "set"))
    assert np.array_equal(np.concatenate([test.fields["u"], train.fields["u"]]), values[0])
    assert train.spec.grid.dims == 1


@pytest.mark.parametrize("shape", [(4, 4), (4,)])
def test_solution_without_coefficient_is_told(tmp_path, shape):
    path = write(tmp_path / "d.hdf5", {"tensor": random(3, 1, 4, 4)}, shape=shape)
    with pytest.raises(UnknownFormatError, match=r"pdebench: `tensor` \(3, 1, 4, 4\) without `nu`"):
        convert([path], tmp_path / "set")


@pytest.mark.parametrize("surplus", [-1, 2])
def test_wrong_number_of_times_is_told_with_both_lengths(tmp_path, surplus):
    path, _ = burgers(tmp_path / "b.hdf5", surplus=surplus)
    expected = rf"t-coordinate: \({3 + surplus},\) times for 3 frames, expected 3 or 4 times"
    with pytest.raises(SchemaError, match=expected):
        convert([path], tmp_path / "set")


def test_all_wrong_shapes_are_listed(tmp_path):
    arrays = {"density": random(4, 3, 8), "pressure": random(4, 2, 8), "Vx": random(4, 3, 7)}
    path = write(tmp_path / "f.hdf5", arrays, shape=(8,), frames=3)
    with pytest.raises(SchemaError, match=r"pressure has shape .*; Vx has shape"):
        convert([path], tmp_path / "set")


@pytest.mark.parametrize(
    ("name", "periodic"),
    [("1D_CFD_Rand_Eta0.1_Zeta0.1_periodic_Train.hdf5", True), ("1D_CFD_trans.hdf5", False)],
)
def test_flow_is_periodic_where_its_name_says_so(tmp_path, tools, name, periodic):
    arrays = {field: random(4, 3, 8) for field in ("density", "pressure", "Vx")}
    path = write(tmp_path / name, arrays, shape=(8,), frames=3)
    (written,) = convert([path], tmp_path / "set")
    assert tools.read_back(written).spec.grid.periodic == (periodic,)


def test_parameter_that_differs_between_files_is_a_condition(tmp_path, tools):
    files = [tmp_path / f"b{k}.hdf5" for k in range(2)]
    for k, file in enumerate(files):
        write(file, {"tensor": random(4, 3, 8, seed=k)}, shape=(8,), frames=3, Nu=0.1 * k, rho=2.0)
    read = [tools.read_back(p) for p in convert(files, tmp_path / "set")]
    assert [r.parameters["Nu"].tolist() for r in read] == [[0.0] * 4, [0.1] * 4]
    assert [r.spec.equation_parameters for r in read] == [{"rho": 2.0}] * 2


def test_files_of_two_grids_are_not_mixed(tmp_path):
    files = [burgers(tmp_path / f"{n}.hdf5", points=n)[0] for n in (8, 9)]
    with pytest.raises(SchemaError, match=r"grid is .* expected as in 8\.hdf5"):
        convert(files, tmp_path / "set")


def test_sample_in_two_splits_is_told(tmp_path):
    path, values = burgers(tmp_path / "b.hdf5")
    with h5py.File(path, "a") as file:
        file["tensor"][19] = values[0]
    with pytest.raises(SplitError, match=r"sample hash .* is also in split"):
        convert([path], tmp_path / "set")


def test_attribute_that_is_no_number_is_told(tmp_path):
    path, _ = burgers(tmp_path / "b.hdf5", Nu="viscous")
    with pytest.raises(SchemaError, match=r"attribute Nu: 'viscous', expected a number"):
        convert([path], tmp_path / "set")


def test_uneven_coordinates_are_told(tmp_path):
    path, _ = burgers(tmp_path / "b.hdf5")
    with h5py.File(path, "a") as file:
        file["x-coordinate"][3] += 0.02
    with pytest.raises(SchemaError, match=r"x-coordinate: distances between .* equal distances"):
        convert([path], tmp_path / "set")


def test_sample_that_is_not_finite_is_kept_but_never_read(tmp_path, tools):
    path, values = burgers(tmp_path / "b.hdf5", samples=5)
    with h5py.File(path, "a") as file:
        file["tensor"][2, 0, 0] = math.nan
    (written,) = convert([path], tmp_path / "set")
    read = tools.read_back(written)
    assert read.status.tolist() == [1, 1, 2, 1, 1]
    assert np.array_equal(read.fields["u"][[0, 1, 3, 4]], values[[0, 1, 3, 4]])
    assert [finding.kind for finding in verify(written).warnings] == ["rejected"]


def test_incompressible_flow_keeps_its_vectors(tmp_path, tools):
    arrays = {
        "velocity": random(11, 3, 6, 5, 2),
        "particles": random(11, 3, 6, 5, 1, seed=1),
        "force": random(11, 6, 5, 2, seed=2),
        "t": np.tile(np.linspace(0, 1, 3, dtype="float32"), (11, 1)),
    }
    path = write(tmp_path / "ns_incom_inhom_2d_512-0.h5", arrays, shape=(), latestIndex=10)
    train, test = (tools.read_back(p) for p in convert([path], tmp_path / "set"))
    for name in ("velocity", "force"):
        joined = np.concatenate([test.fields[name], train.fields[name]])
        assert np.array_equal(joined, arrays[name])
    assert np.array_equal(train.fields["particles"], arrays["particles"][1:, ..., 0])
    assert [one.role for one in train.spec.fields] == ["input", "output", "output"]
    assert train.spec.times == (0.0, 0.5, 1.0)


def test_samples_with_times_of_their_own_are_told(tmp_path):
    arrays = {
        "velocity": random(2, 3, 6, 5, 2),
        "particles": random(2, 3, 6, 5, 1),
        "force": random(2, 6, 5, 2),
        "t": random(2, 3),
    }
    path = write(tmp_path / "ns.h5", arrays, shape=())
    with pytest.raises(SchemaError, match="t: sample 1 differs from sample 0"):
        convert([path], tmp_path / "set")


def test_blocks_smaller_than_the_file_lose_nothing(tmp_path, tools, monkeypatch):
    # 200 bytes: two samples of 96 bytes at a time.
    monkeypatch.setattr("pdesolve.datasets.formats.conversion.BLOCK_BYTES", 200)
    path, values = burgers(tmp_path / "b.hdf5", samples=23)
    train, test = (tools.read_back(p).fields["u"] for p in convert([path], tmp_path / "set"))
    assert np.array_equal(np.concatenate([test, train]), values)


def test_links_are_refused_before_any_read(tmp_path):
    path, _ = burgers(tmp_path / "b.hdf5")
    with h5py.File(path, "a") as file:
        file["stolen"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(UnsafeFileError, match="stolen"):
        convert([path], tmp_path / "set")


def test_truncated_files_are_told(tmp_path, tools):
    path, _ = burgers(tmp_path / "b.hdf5")
    tools.truncations_are_told([path], tmp_path)
