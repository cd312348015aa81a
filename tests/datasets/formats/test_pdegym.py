import itertools

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdesolve import Grid
from pdesolve.datasets import Pairs, SchemaError, UnsafeFileError, open_dataset, verify
from pdesolve.datasets.formats import convert, pdegym

GAS = ("density", "velocity_x", "velocity_y", "pressure", "tracer")
# Data sets with their axes, c as a number; channels of the channel axis, or one a data set.
KINDS = {
    "NS-Sines": ({"velocity": "nt3xy"}, ("velocity_x", "velocity_y", "tracer")),
    "NS-BB": ({"velocity": "nt2xy"}, ("velocity_x", "velocity_y")),
    "NS-SL": ({"velocity": "nt2yx"}, ("velocity_x", "velocity_y")),
    "FNS-KF": ({"solution": "nt2xy"}, ("velocity_x", "velocity_y")),
    "CE-RP": ({"data": "nt5xy"}, GAS),
    "CE-RM": ({"solution": "nt5xy"}, GAS),
    "GCE-RT": ({"solution": "nt6xy"}, (*GAS[:4], "channel_4", "potential")),
    "SE-AF": ({"solution": "n2xy"}, ("shape", "density")),
    "Wave-Layer": ({"solution": "ntxy", "c": "nxy"}, ("u", "c")),
    "ACE": ({"solution": "ntxy"}, ("u",)),
    "Poisson-Gauss": ({"source": "nxy", "solution": "nxy"}, ("source", "solution")),
}


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def write(path, arrays):
    """netCDF-4 as h5py sees it: plain data sets with dimension scales."""
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values)
            for axis, size in enumerate(values.shape):
                scale = f"{name}_dim{axis}"
                file.create_dataset(scale, (size,), ">f4").make_scale(
                    "This is a netCDF dimension but not a netCDF variable."
                )
                file[name].dims[axis].attach_scale(file[scale])
    return path


def made(kind, samples, frames, points, dtype, seed):
    sizes = {"n": samples, "t": frames, "x": points[0], "y": points[1]}
    layout, channels = KINDS[kind]
    arrays, fields = {}, {}
    for k, (name, axes) in enumerate(layout.items()):
        shape = [sizes[axis] if axis in sizes else int(axis) for axis in axes]
        arrays[name] = random(*shape, dtype=dtype, seed=seed + k)
        values = arrays[name].swapaxes(-1, -2) if axes.endswith("yx") else arrays[name]
        place = next((i for i, axis in enumerate(axes) if axis.isdigit()), None)
        if place is None:
            fields[channels[k]] = values
        else:
            fields |= {one: values.take(i, place) for i, one in enumerate(channels)}
    return arrays, fields


def joined(read, name):
    return np.concatenate([read[k].fields[name] for k in ("train", "valid", "test") if k in read])


def round_trip(tools, kind, samples, frames, points, cuts, dtype, seed):
    # Two frames of Allen-Cahn would have the shape of the airfoil's two channels.
    frames += kind == "ACE" and frames == 2
    arrays, fields = made(kind, samples, frames, points, dtype, seed)
    bounds = [0, *sorted({cut for cut in cuts if cut < samples}), samples]
    with tools.temporary_folder() as folder:
        (folder / kind).mkdir()
        chunks = [
            write(
                folder / kind / (f"chunk_{k}.nc" if len(bounds) > 2 else f"{kind}.nc"),
                {name: values[start:stop] for name, values in arrays.items()},
            )
            for k, (start, stop) in enumerate(itertools.pairwise(bounds))
        ]
        written = convert(chunks[::-1], folder / "set")
        read = {p.parent.name: tools.read_back(p) for p in written}
    for name, values in fields.items():
        stored = joined(read, name)
        assert tools.same(stored.reshape(values.shape), values)
    spec = read["train"].spec
    assert spec.grid.shape == points
    assert len(spec.times) == (
        frames if any("t" in axes for axes in KINDS[kind][0].values()) else 1
    )


CASES = given(
    kind=st.sampled_from(sorted(KINDS)),
    samples=st.integers(1, 10),
    frames=st.integers(1, 4),
    points=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    cuts=st.lists(st.integers(1, 9), max_size=3),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**31),
)
SETTINGS = {"deadline": None, "derandomize": True, "database": None}
test_round_trip_loses_nothing = settings(max_examples=9, **SETTINGS)(CASES(round_trip))
test_many_round_trips_lose_nothing = pytest.mark.slow(
    settings(max_examples=500, **SETTINGS)(CASES(round_trip))
)


def converted(tmp_path, tools, kind, frames, name=None):
    arrays, _ = made(kind, 3, frames, (6, 5), "float32", 0)
    (written,) = convert([write(tmp_path / (name or f"{kind}.nc"), arrays)], tmp_path / "set")
    return tools.read_back(written)


@pytest.mark.parametrize("direct", [True, False])
def test_points_inside_the_airfoil_are_masked(tmp_path, direct):
    values = random(5, 2, 6, 5)
    values[:, 0] = 0.0
    for k in range(5):
        values[k, 0, 2, : k + 1] = 1.0
    path = write(tmp_path / "SE-AF.nc", {"solution": values})
    opened = path if direct else convert([path], tmp_path / "set")[0]
    dataset = open_dataset(opened)
    batch = dataset.batch([4, 1])
    assert (dataset.input_names, dataset.output_names) == (("shape",), ("density",))
    assert np.array_equal(batch.mask, 1 - batch.x)
    assert [int((one == 0).sum()) for one in batch.mask] == [5, 2]


@pytest.mark.parametrize("direct", [True, False])
def test_the_force_of_kolmogorov_flow_is_a_channel_that_stays(tmp_path, direct):
    arrays, _ = made("FNS-KF", 3, 4, (64, 64), "float32", 0)
    path = write(tmp_path / "FNS-KF.nc", arrays)
    opened = path if direct else convert([path], tmp_path / "set")[0]
    dataset = open_dataset(opened, window=Pairs(fixed=True))
    assert dataset.input_names == ("force", "velocity_x@0", "velocity_y@0")
    assert dataset.fixed_channels == 1
    force = dataset.batch([10, 0]).x[:, 0]
    # At x = 1/4 and y = 0, 1/4, 1/2.
    np.testing.assert_allclose(force[:, 16, [0, 16, 32]], [[0.1, 0, -0.1]] * 2, atol=1e-7)
    # Published with the task: mean -1.2997e-9, deviation 0.0707106739.
    assert float(force.double().std(correction=0)) == pytest.approx(0.0707106739, abs=1e-8)
    assert abs(float(force.double().mean())) < 1e-8


@pytest.mark.parametrize(
    ("kind", "frames", "grid", "last"),
    [
        ("NS-Sines", 21, Grid((6, 5), 1.0, True), 1.0),
        ("CE-RP", 21, Grid((6, 5), 1.0, True, "cell"), 1.0),
        ("CE-RM", 21, Grid((6, 5), 1.0, True, "cell"), 2.0),
        ("GCE-RT", 11, Grid((6, 5), 1.0, False, "cell"), 5.0),
        ("ACE", 20, Grid((6, 5), 1.0, False), 2e-4),
        ("SE-AF", 1, Grid((6, 5), 2.5, False), 0.0),
    ],
)
def test_grid_and_times_are_the_published_ones(tmp_path, tools, kind, frames, grid, last):
    read = converted(tmp_path, tools, kind, frames)
    assert read.spec.grid == grid
    assert (len(read.spec.times), read.spec.times[-1]) == (frames, float(np.float32(last)))
    assert read.provenance["source_times"] == "as published"
    assert read.provenance["license"] == "CC-BY-NC-4.0"


def test_times_that_are_not_published_are_frame_numbers(tmp_path, tools):
    read = converted(tmp_path, tools, "Wave-Layer", 4)
    assert read.spec.times == (0.0, 1.0, 2.0, 3.0)
    assert read.provenance["source_times"] == "frame numbers"
    assert [(one.name, one.role) for one in read.spec.fields] == [("c", "input"), ("u", "output")]


def test_axes_of_the_shear_layer_are_swapped(tmp_path, tools):
    arrays, _ = made("NS-SL", 3, 4, (6, 5), "float32", 0)
    assert arrays["velocity"].shape == (3, 4, 2, 5, 6)
    read = converted(tmp_path, tools, "NS-SL", 4)
    assert np.array_equal(read.fields["velocity_x"], arrays["velocity"][:, :, 0].swapaxes(2, 3))


def test_chunks_are_ordered_by_number(tmp_path, tools):
    values = np.arange(11 * 3 * 4, dtype="float32").reshape(11, 3, 4)
    arrays = {"source": values, "solution": -values - 1}
    files = [
        write(tmp_path / f"part_{k}.nc", {n: v[k : k + 1] for n, v in arrays.items()})
        for k in range(11)
    ]
    written = convert(sorted(files), tmp_path / "set")
    read = {p.parent.name: tools.read_back(p) for p in written}
    assert np.array_equal(joined(read, "source"), values)


@pytest.mark.parametrize("numbers", [(0, 2), (1, 2), ("a", "b")])
def test_missing_chunks_are_told(tmp_path, numbers):
    arrays = {name: random(2, 4, 4) for name in ("source", "solution")}
    files = [write(tmp_path / f"part_{k}.nc", arrays) for k in numbers]
    with pytest.raises(SchemaError, match="expected NAME_0 to NAME_1 of one set, each once"):
        convert(files, tmp_path / "set")


def test_chunks_of_two_sets_are_told(tmp_path):
    arrays = {name: random(2, 4, 4) for name in ("source", "solution")}
    files = [write(tmp_path / f"{name}.nc", arrays) for name in ("a_0", "b_1")]
    with pytest.raises(SchemaError, match="of one set"):
        convert(files, tmp_path / "set")


def test_chunks_of_two_shapes_are_told(tmp_path):
    files = [
        write(tmp_path / f"a_{k}.nc", {n: random(2, 4, 4 + k) for n in ("source", "solution")})
        for k in range(2)
    ]
    with pytest.raises(SchemaError, match=r"a_1\.nc: samples of .* as in a_0\.nc"):
        convert(files, tmp_path / "set")


def test_published_split_is_taken_from_the_end(tmp_path, tools, monkeypatch):
    assert pdegym.POISSON.published == (20000, 120, 240)
    whole = pdegym.replace(pdegym.POISSON, published=(20, 3, 5))
    monkeypatch.setattr(pdegym, "POISSON", whole)
    values = random(20, 4, 4)
    path = write(tmp_path / "Poisson-Gauss.nc", {"source": values, "solution": -values})
    written = convert([path], tmp_path / "set")
    read = {p.parent.name: tools.read_back(p).fields["source"] for p in written}
    assert np.array_equal(read["train"], values[:12])
    assert np.array_equal(read["valid"], values[12:15])
    assert np.array_equal(read["test"], values[15:])
    assert all(verify(p).errors == () for p in written)


def test_part_of_a_set_is_divided_by_the_same_shares(tmp_path, tools, monkeypatch):
    monkeypatch.setattr(pdegym, "POISSON", pdegym.replace(pdegym.POISSON, published=(100, 20, 30)))
    path = write(
        tmp_path / "a.nc",
        {n: random(10, 4, 4, seed=k) for k, n in enumerate(("source", "solution"))},
    )
    written = convert([path], tmp_path / "set")
    assert [len(tools.read_back(p).status) for p in written] == [5, 2, 3]


def helmholtz(path, samples, points, dtype="float32"):
    coefficient = random(samples, *points, dtype=dtype)
    solution = random(samples, *points, dtype=dtype, seed=1)
    with h5py.File(path, "w") as file:
        for k in range(samples):
            file[f"Sample_{k}/a"], file[f"Sample_{k}/u"] = coefficient[k], solution[k]
            file[f"Sample_{k}/bc"] = 0.25 + k
    return path, coefficient, solution


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("samples", [1, 12])
def test_helmholtz_groups_come_in_the_order_of_their_numbers(tmp_path, tools, samples, dtype):
    path, coefficient, solution = helmholtz(tmp_path / "Helmholtz.h5", samples, (5, 4), dtype)
    written = convert([path], tmp_path / "set")
    read = {p.parent.name: tools.read_back(p) for p in written}
    assert tools.same(joined(read, "a"), coefficient)
    assert tools.same(joined(read, "u")[:, 0], solution)
    walls = 0.25 + np.arange(samples, dtype=dtype)[:, None, None]
    assert tools.same(joined(read, "bc"), np.broadcast_to(walls, coefficient.shape))


def test_helmholtz_opens_for_training_with_its_walls_as_a_channel(tmp_path):
    path, coefficient, solution = helmholtz(tmp_path / "Helmholtz.h5", 3, (5, 4))
    (written,) = convert([path], tmp_path / "set")
    dataset = open_dataset(written)
    batch = dataset.batch(range(3))
    assert (dataset.input_names, dataset.output_names) == (("a", "bc"), ("u",))
    assert np.array_equal(batch.x[:, 0], coefficient)
    assert np.array_equal(batch.y[:, 0], solution)
    assert [sample[1].unique().tolist() for sample in batch.x] == [[0.25], [1.25], [2.25]]
    # A lead time of 1 is what Poseidon takes as its condition here.
    assert batch.condition is None


def test_helmholtz_samples_that_differ_are_all_listed(tmp_path):
    path, *_ = helmholtz(tmp_path / "Helmholtz.h5", 3, (5, 4))
    with h5py.File(path, "a") as file:
        del file["Sample_1/u"], file["Sample_2/bc"]
        file["Sample_1/u"], file["Sample_2/bc"] = random(4, 4), random(2)
    with pytest.raises(SchemaError, match=r"Sample_1/u has shape .*; Sample_2/bc has shape \(2,\)"):
        convert([path], tmp_path / "set")


def test_numbers_of_samples_that_disagree_are_told(tmp_path):
    arrays = {"source": random(3, 4, 4), "solution": random(2, 4, 4)}
    with pytest.raises(SchemaError, match="numbers of samples"):
        convert([write(tmp_path / "a.nc", arrays)], tmp_path / "set")


def test_points_that_disagree_are_told(tmp_path):
    arrays = {"source": random(3, 4, 4), "solution": random(3, 4, 5)}
    with pytest.raises(SchemaError, match=r"points \[\(4, 4\), \(4, 5\)\]"):
        convert([write(tmp_path / "a.nc", arrays)], tmp_path / "set")


def test_virtual_assembly_of_chunks_is_refused(tmp_path):
    part = write(tmp_path / "part.nc", {"velocity": random(2, 3, 2, 4, 4)})
    layout = h5py.VirtualLayout((2, 3, 2, 4, 4), "f4")
    layout[...] = h5py.VirtualSource(part, "velocity", (2, 3, 2, 4, 4))
    with h5py.File(tmp_path / "NS-BB.nc", "w") as file:
        file.create_virtual_dataset("velocity", layout)
    with pytest.raises(UnsafeFileError, match="a virtual data set"):
        convert([tmp_path / "NS-BB.nc"], tmp_path / "set")


def test_truncated_chunks_are_told(tmp_path, tools):
    files = [
        write(tmp_path / f"a_{k}.nc", {n: random(2, 4, 4, seed=k) for n in ("source", "solution")})
        for k in range(2)
    ]
    tools.truncations_are_told(files, tmp_path, 24)
