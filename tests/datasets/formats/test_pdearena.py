import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdesolve import Grid
from pdesolve.datasets import SchemaError, UnsafeFileError, verify
from pdesolve.datasets.formats import convert, pdearena, the_well


def random(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def smoke(path, split="train", samples=4, frames=3, points=(6, 5), *, seed=0, mode="w", **changes):
    """A file as the published generator writes it: x, t are divided into one part too few."""
    fields = {
        n: random(samples, frames, *points, seed=seed + k) for k, n in enumerate(("u", "vx", "vy"))
    }
    small = {
        "t": np.tile(np.linspace(18, 102, frames), (samples, 1)),
        "dt": np.full(samples, 84 / frames),
        "dx": np.full(samples, 32 / (points[0] - 1)),
        "dy": np.full(samples, 16 / (points[1] - 1)),
        "x": np.tile(np.linspace(0, 32, points[0]), (samples, 1)),
        "y": np.tile(np.linspace(0, 16, points[1]), (samples, 1)),
        "buo_y": np.full(samples, 0.5),
    }
    with h5py.File(path, mode) as file:
        for name, values in {**fields, **small, **changes}.items():
            if values is not None:
                file[f"{split}/{name}"] = values
    return path, fields | changes


def maxwell(path, split="train", samples=3, frames=2, points=(4, 3, 5), dtype="float64", seed=0):
    fields = {
        name: random(samples, frames, *points, 3, dtype=dtype, seed=seed + k)
        for k, name in enumerate(("d_field", "h_field"))
    }
    with h5py.File(path, "w") as file:
        for name, values in fields.items():
            file[f"{split}/{name}"] = values
    return path, fields


def round_trip(tools, kind, split, samples, frames, points, buoyancies, seed):
    with tools.temporary_folder() as folder:
        if kind == "smoke":
            buoyancy = np.resize(buoyancies, samples)
            path, fields = smoke(
                folder / "a.h5", split, samples, frames, points[:2], seed=seed, buo_y=buoyancy
            )
            del fields["buo_y"]
        else:
            path, fields = maxwell(folder / "a.h5", split, samples, frames, points, seed=seed)
        (written,) = convert([path], folder / "set")
        read = tools.read_back(written)
    assert written.parent.name == split
    for name, values in fields.items():
        assert tools.same(read.fields[name], values)
    if kind == "smoke":
        assert read.spec.grid == Grid(points[:2], (32.0, 16.0), False, "cell")
        assert read.spec.times == tuple(
            float(np.float32(18 + k * 84 / frames)) for k in range(frames)
        )
        stored = read.parameters.get("buo_y", read.spec.equation_parameters.get("buo_y"))
        assert np.array_equal(np.broadcast_to(stored, samples), buoyancy)


CASES = given(
    kind=st.sampled_from(["smoke", "smoke", "maxwell"]),
    split=st.sampled_from(["train", "valid", "test"]),
    samples=st.integers(1, 6),
    frames=st.integers(1, 5),
    points=st.tuples(*[st.integers(2, 6)] * 3),
    buoyancies=st.lists(st.floats(0.2, 0.5), min_size=1, max_size=6),
    seed=st.integers(0, 2**31),
)
SETTINGS = {"deadline": None, "derandomize": True, "database": None}
test_round_trip_loses_nothing = settings(max_examples=9, **SETTINGS)(CASES(round_trip))
test_many_round_trips_lose_nothing = pytest.mark.slow(
    settings(max_examples=500, **SETTINGS)(CASES(round_trip))
)


def test_frames_are_dt_apart_and_cells_fill_the_box(tmp_path, tools):
    # The stored t would say 42 between frames, the stored dx 8: both count one part too few.
    path, _ = smoke(tmp_path / "a.h5", frames=3, points=(5, 5))
    (written,) = convert([path], tmp_path / "set")
    read = tools.read_back(written)
    assert read.spec.times == (18.0, 46.0, 74.0)
    assert read.spec.grid.spacing == (32 / 5, 16 / 5)
    assert json.loads(read.provenance["source_t"]) == [18.0, 60.0, 102.0]


def test_files_of_all_splits_become_one_set(tmp_path, tools):
    files, fields = [], []
    for number, split in enumerate(("train", "train", "valid", "test")):
        path, held = smoke(tmp_path / f"NavierStokes2D_{split}_{number}.h5", split, seed=9 * number)
        files.append(path)
        fields.append(held)
    written = convert(files, tmp_path / "set")
    assert [p.parent.name for p in written] == ["train", "train", "valid", "test"]
    for path, held in zip(written, fields, strict=True):
        assert np.array_equal(tools.read_back(path).fields["vx"], held["vx"])
        assert verify(path).errors == ()


def test_groups_of_one_file_are_splits(tmp_path, tools):
    path, training = smoke(tmp_path / "a.h5")
    _, testing = smoke(path, "test", samples=2, seed=9, mode="a")
    read = {
        p.parent.name: tools.read_back(p).fields["u"] for p in convert([path], tmp_path / "set")
    }
    assert np.array_equal(read["train"], training["u"])
    assert np.array_equal(read["test"], testing["u"])


def test_buoyancy_that_differs_between_files_is_a_condition(tmp_path, tools):
    files = [
        smoke(tmp_path / f"{k}.h5", samples=2, seed=9 * k, buo_y=np.full(2, 0.25 * k))[0]
        for k in range(2)
    ]
    read = [tools.read_back(p) for p in convert(files, tmp_path / "set")]
    assert [r.parameters["buo_y"].tolist() for r in read] == [[0.0, 0.0], [0.25, 0.25]]


def test_maxwell_fields_are_vectors(tmp_path, tools):
    path, fields = maxwell(tmp_path / "Maxwell3D_train_0.h5")
    (written,) = convert([path], tmp_path / "set")
    read = tools.read_back(written)
    assert np.array_equal(read.fields["h_field"], fields["h_field"])
    assert [one.order for one in read.spec.fields] == [1, 1]
    assert read.spec.grid.spacing == pytest.approx((5e-7,) * 3, rel=1e-12)
    assert read.provenance["source_times"] == "frame numbers"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"t": np.arange(12.0).reshape(4, 3)}, "train/t: sample 1 differs from sample 0"),
        ({"dt": np.arange(4.0)}, "train/dt: sample 1 differs from sample 0"),
        ({"dt": np.zeros(4)}, "train/dt: times that do not ascend"),
        ({"x": None}, r"train: no \['x'\]"),
        ({"x": np.tile(np.arange(7.0), (4, 1))}, "train/x: 7 coordinates, expected 6"),
        ({"y": np.tile(np.arange(5.0) ** 2, (4, 1))}, "train/y: distances between"),
        ({"vx": random(4, 3, 6, 4)}, r"train: fields of shapes .* expected \(N, T, X, Y\)"),
        ({"buo_y": np.ones(5)}, "'buo_y': 5"),
    ],
)
def test_what_disagrees_is_told(tmp_path, changes, reason):
    path, _ = smoke(tmp_path / "a.h5", **changes)
    with pytest.raises(SchemaError, match=reason):
        convert([path], tmp_path / "set")


def test_other_layouts_are_told(tmp_path):
    path, _ = smoke(tmp_path / "a.h5", "training")
    assert pdearena.detects(path) == "not all groups are named train, valid or test"
    path, _ = smoke(tmp_path / "b.h5", u=None)
    assert "without ('u', 'vx', 'vy')" in pdearena.detects(path)
    path, _ = smoke(tmp_path / "c.h5")
    assert "no group dimensions" in the_well.detects(path)


def test_external_storage_is_refused(tmp_path):
    path, _ = smoke(tmp_path / "a.h5")
    (tmp_path / "secret").write_bytes(bytes(64))
    with h5py.File(path, "a") as file:
        file.create_dataset("train/w", (8,), "f8", external=[(str(tmp_path / "secret"), 0, 64)])
    with pytest.raises(UnsafeFileError, match="external storage"):
        convert([path], tmp_path / "set")


def test_truncated_files_are_told(tmp_path, tools):
    path, _ = smoke(tmp_path / "a.h5")
    tools.truncations_are_told([path], tmp_path)
