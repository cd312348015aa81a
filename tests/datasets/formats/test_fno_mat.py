import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from pdesolve import Grid
from pdesolve.datasets import (
    SchemaError,
    UnknownFormatError,
    UnsafeFileError,
    open_dataset,
    verify,
)
from pdesolve.datasets.formats import convert, fno_mat, pdebench

HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan 1 00:00:00 2024 HDF5"


def write(path, arrays, *, version="5", compressed=True):
    """Write arrays as MATLAB shows them; version 7.3 stores the axes reversed."""
    if version == "5":
        savemat(path, arrays, do_compression=compressed)
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            options = {"compression": "gzip", "shuffle": True} if compressed else {}
            data = file.create_dataset(name, data=np.asarray(values).T, **options)
            data.attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as stream:
        stream.write(HEADER.ljust(124) + b"\x00\x02IM")
    return path


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def joined(read, name):
    return np.concatenate([read[k].fields[name] for k in ("train", "valid", "test") if k in read])


def round_trip(tools, kind, version, compressed, samples, points, frames, dtype, seed):
    if kind == "darcy":
        shapes = dict.fromkeys(("coeff", "sol"), (samples, *points))
        names = {"coeff": "coefficient", "sol": "solution"}
    elif kind == "burgers":
        shapes = dict.fromkeys(("a", "u"), (samples, points[0]))
        names = {"a": "initial", "u": "velocity"}
    else:
        shapes = {"a": (samples, *points), "u": (samples, *points, frames), "t": (1, frames)}
        names = {"a": "initial", "u": "vorticity"}
    arrays = {k: random(*s, dtype=dtype, seed=seed + len(k)) for k, s in shapes.items()}
    arrays = {k: v + (ord(k[0]) if k != "t" else 0) for k, v in arrays.items()}
    if kind == "navier_stokes":
        arrays["t"] = np.arange(1, frames + 1, dtype=dtype)[None] / 4
    with tools.temporary_folder() as folder:
        path = write(folder / "set.mat", arrays, version=version, compressed=compressed)
        written = convert([path], folder / "set")
        read = {p.parent.name: tools.read_back(p) for p in written}
    for source, name in names.items():
        values = arrays[source]
        if kind == "navier_stokes" and source == "u":
            values = np.moveaxis(values, -1, 1)
        stored = joined(read, name)
        assert tools.same(stored.reshape(values.shape), values)
    spec = read["train"].spec
    periodic = kind != "darcy"
    assert spec.grid == Grid(points[:1] if kind == "burgers" else points, 1.0, periodic)
    if kind == "navier_stokes":
        assert spec.times == tuple(np.arange(1, frames + 1) / 4)


CASES = given(
    kind=st.sampled_from(["darcy", "burgers", "navier_stokes"]),
    version=st.sampled_from(["5", "7.3"]),
    compressed=st.booleans(),
    samples=st.integers(1, 12),
    points=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    frames=st.integers(1, 5),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**31),
)
SETTINGS = {"deadline": None, "derandomize": True, "database": None}
test_round_trip_loses_nothing = settings(max_examples=14, **SETTINGS)(CASES(round_trip))
test_many_round_trips_lose_nothing = pytest.mark.slow(
    settings(max_examples=500, **SETTINGS)(CASES(round_trip))
)


def test_both_versions_hold_the_same_axes(tmp_path, tools):
    values = random(3, 4, 5, 6)
    read = []
    for version in ("5", "7.3"):
        path = write(tmp_path / f"v{version}.mat", {"u": values}, version=version)
        (written,) = convert([path], tmp_path / version)
        read.append(tools.read_back(written).fields["vorticity"])
    assert np.array_equal(read[0], read[1])
    assert read[0].shape == (3, 6, 4, 5)


def test_darcy_opens_for_training_and_second_file_is_for_testing(tmp_path):
    files = []
    for number in (1, 2):
        arrays = {
            "coeff": random(4, 9, 9, dtype="float64", seed=number),
            "sol": random(4, 9, 9, dtype="float64", seed=10 + number),
            "Kcoeff": random(4, 9, 9),
        }
        files.append(write(tmp_path / f"piececonst_r421_N1024_smooth{number}.mat", arrays))
    written = convert(files, tmp_path / "darcy")
    assert [p.parent.name for p in written] == ["train", "test"]
    dataset = open_dataset(tmp_path / "darcy", split="train", stride=2)
    assert dataset.grid == Grid((5, 5), 1.0, False)
    assert (dataset.equation, dataset.equation_parameters["high"]) == ("Darcy", 12.0)
    assert dataset.input_names == ("coefficient",)
    assert all(verify(p).errors == () for p in written)


def test_published_split_leaves_the_middle_out_of_both(tmp_path, tools, monkeypatch):
    assert (fno_mat.TRAIN, fno_mat.TEST) == (1000, 200)
    monkeypatch.setattr(fno_mat, "TRAIN", 10)
    monkeypatch.setattr(fno_mat, "TEST", 2)
    velocity = random(13, 4)
    path = write(tmp_path / "burgers_data_R10.mat", {"a": -velocity, "u": velocity})
    written = convert([path], tmp_path / "burgers")
    read = {p.parent.name: tools.read_back(p).fields["velocity"][:, 0] for p in written}
    assert np.array_equal(read["train"], velocity[:10])
    assert np.array_equal(read["valid"], velocity[10:11])
    assert np.array_equal(read["test"], velocity[11:])


def test_vorticity_without_times_is_recorded_at_one_two_three(tmp_path, tools):
    path = write(tmp_path / "NavierStokes_V1e-5_N1200_T20.mat", {"u": random(4, 5, 5, 3)})
    (written,) = convert([path], tmp_path / "flow")
    spec = tools.read_back(written).spec
    assert spec.times == (1.0, 2.0, 3.0)
    assert spec.equation_parameters == {"viscosity": 1e-5}


def test_last_axis_that_matlab_dropped_is_one_time(tmp_path, tools):
    values = random(4, 5, 6)
    path = write(tmp_path / "ns.mat", {"u": values}, version="7.3")
    (written,) = convert([path], tmp_path / "flow")
    assert np.array_equal(tools.read_back(written).fields["vorticity"][:, 0], values)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_shapes_that_disagree_are_told(tmp_path, version):
    arrays = {"a": random(4, 5, 5), "u": random(4, 6, 5, 3)}
    path = write(tmp_path / "ns.mat", arrays, version=version)
    with pytest.raises(SchemaError, match=r"a has shape \(4, 5, 5\), expected \(4, 6, 5\)"):
        convert([path], tmp_path / "set")


def test_wrong_number_of_times_is_told(tmp_path):
    path = write(tmp_path / "ns.mat", {"u": random(4, 5, 5, 3), "t": np.arange(4.0)})
    with pytest.raises(SchemaError, match=r"t: \(4,\) times for 3 frames"):
        convert([path], tmp_path / "set")


def test_other_variables_are_told(tmp_path):
    path = write(tmp_path / "other.mat", {"velocity": random(4, 5)})
    with pytest.raises(UnknownFormatError, match=r"fno_mat: .*it holds velocity \(4, 5\)"):
        convert([path], tmp_path / "set")


def test_plain_hdf5_with_the_same_names_is_no_matlab_file(tmp_path):
    path = tmp_path / "set.mat"
    with h5py.File(path, "w") as file:
        file["u"] = random(4, 5, 5, 3)
    assert "no MATLAB file" in fno_mat.detects(path)


def test_matlab_text_is_no_pdebench_file(tmp_path):
    path = write(tmp_path / "tensor.mat", {"u": random(2, 4, 4, 2)}, version="7.3")
    assert "no `tensor`" in pdebench.detects(path)


def test_shape_bomb_in_version_73_is_refused(tmp_path):
    path = write(tmp_path / "ns.mat", {"a": random(2, 2, 2)}, version="7.3")
    with h5py.File(path, "a") as file:
        file.create_dataset("u", (10**4, 10**4, 10**4), "f4", chunks=(1, 100, 100))
    with pytest.raises(UnsafeFileError, match="bytes declared and 0 stored"):
        convert([path], tmp_path / "set")


def test_structures_and_text_beside_the_arrays_are_ignored(tmp_path, tools):
    values = random(2, 4, 4, 2)
    extra = {"note": "text", "settings": {"visc": 1.0}}
    path = write(tmp_path / "ns.mat", {"u": values, **extra})
    (written,) = convert([path], tmp_path / "set")
    assert np.array_equal(tools.read_back(written).fields["vorticity"], np.moveaxis(values, -1, 1))


@pytest.mark.parametrize(
    ("version", "compressed"), [("5", True), ("5", False), ("7.3", True), ("7.3", False)]
)
def test_truncated_files_are_told(tmp_path, tools, version, compressed):
    arrays = {"a": random(4, 5, 5), "u": random(4, 5, 5, 3)}
    path = write(tmp_path / "ns.mat", arrays, version=version, compressed=compressed)
    tools.truncations_are_told([path], tmp_path)
