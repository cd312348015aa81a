import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from pdesolve import Grid
from pdesolve.datasets import (
    ChecksumError,
    SchemaError,
    TruncatedFileError,
    UnknownFormatError,
    UnsafeFileError,
    UnsupportedDtypeError,
    open_dataset,
    verify,
)
from pdesolve.datasets.formats import convert, thuml


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def mesh(
    folder, name="Pipe", samples=7, points=(6, 5), channels=3, *, dtype="float32", seed=0, order="C"
):
    arrays = {
        "X": random(samples, *points, dtype=dtype, seed=seed),
        "Y": random(samples, *points, dtype=dtype, seed=seed + 1),
        "Q": random(samples, channels, *points, dtype=dtype, seed=seed + 2),
    }
    files = []
    for axis, values in arrays.items():
        files.append(folder / f"{name}_{axis}.npy")
        np.save(files[-1], np.asarray(values, order=order))
    return files, arrays


def joined(read, name):
    return np.concatenate([read[k].fields[name] for k in ("train", "test") if k in read])


def mesh_round_trip(tools, samples, points, channels, order, dtype, seed):
    with tools.temporary_folder() as folder:
        files, arrays = mesh(
            folder, "Pipe", samples, points, channels, dtype=dtype, seed=seed, order=order
        )
        written = thuml.convert(files[::-1], folder / "set", channels=range(channels))
        read = {p.parent.name: tools.read_back(p) for p in written}
    assert tools.same(joined(read, "position_x"), arrays["X"])
    assert tools.same(joined(read, "position_y"), arrays["Y"])
    target = "mach" if channels >= 5 else "velocity_x"
    for k in range(channels):
        name = target if k == (4 if channels >= 5 else 0) else f"channel_{k}"
        assert tools.same(joined(read, name)[:, 0], arrays["Q"][:, k])
    assert read["train"].spec.grid == Grid(points, 1.0, False)


def plasticity_round_trip(tools, samples, points, frames, channels, compressed, dtype, seed):
    die = random(samples, points[0], dtype=dtype, seed=seed)
    state = random(samples, *points, frames, channels, dtype=dtype, seed=seed + 1)
    with tools.temporary_folder() as folder:
        path = folder / "plas_N987_T20.mat"
        savemat(path, {"input": die, "output": state}, do_compression=compressed)
        written = convert([path], folder / "set")
        read = {p.parent.name: tools.read_back(p) for p in written}
    assert tools.same(joined(read, "die"), np.repeat(die[:, :, None], points[1], 2))
    for k in range(channels):
        assert tools.same(joined(read, f"channel_{k}"), np.moveaxis(state[..., k], 3, 1))
    assert read["train"].spec.times == tuple(range(frames))


SIZES = {
    "samples": st.integers(1, 13),
    "points": st.tuples(st.integers(3, 8), st.integers(3, 8)),
    "dtype": st.sampled_from(["float32", "float64"]),
    "seed": st.integers(0, 2**31),
}
MESHES = given(channels=st.integers(1, 6), order=st.sampled_from("CF"), **SIZES)
PLASTIC = given(
    frames=st.integers(1, 4), channels=st.integers(2, 4), compressed=st.booleans(), **SIZES
)
SETTINGS = {"deadline": None, "derandomize": True, "database": None}
FEW, MANY = settings(max_examples=6, **SETTINGS), settings(max_examples=500, **SETTINGS)
test_meshes_lose_nothing = FEW(MESHES(mesh_round_trip))
test_plasticity_loses_nothing = FEW(PLASTIC(plasticity_round_trip))
test_many_meshes_lose_nothing = pytest.mark.slow(MANY(MESHES(mesh_round_trip)))
test_many_plasticity_sets_lose_nothing = pytest.mark.slow(MANY(PLASTIC(plasticity_round_trip)))


@pytest.mark.parametrize(
    ("name", "channels", "channel", "output"),
    [("Pipe", 3, 0, "velocity_x"), ("NACA_Cylinder", 5, 4, "mach")],
)
def test_published_target_is_the_output(tmp_path, name, channels, channel, output):
    files, arrays = mesh(tmp_path, name, channels=channels)
    convert(files, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set", split="train")
    batch = dataset.batch(range(6))
    assert (dataset.input_names, dataset.output_names) == (("position_x", "position_y"), (output,))
    assert np.array_equal(batch.x[:, 1], arrays["Y"][:6])
    assert np.array_equal(batch.y[:, 0], arrays["Q"][:6, channel])
    assert verify(tmp_path / "set" / "data" / "test" / "set.h5").errors == ()


def test_content_and_not_the_extension_decides(tmp_path):
    files, _ = mesh(tmp_path)
    renamed = [file.rename(file.with_suffix(".bin")) for file in files]
    assert [thuml.detects(file) for file in renamed] == [None] * 3
    assert len(convert(renamed, tmp_path / "set")) == 2


def test_meshes_test_after_the_training_samples_and_plasticity_at_the_end():
    splits = thuml._splits(2310, *thuml.MESH_SPLIT, last=False)
    assert splits == {"train": range(1000), "valid": range(1200, 2310), "test": range(1000, 1200)}
    splits = thuml._splits(987, *thuml.PLASTICITY_SPLIT, last=True)
    assert splits == {"train": range(900), "valid": range(900, 907), "test": range(907, 987)}


def test_point_clouds_are_refused(tmp_path):
    np.save(tmp_path / "Random_UnitCell_XY_10.npy", random(97, 2, 5))
    np.save(tmp_path / "Random_UnitCell_sigma_10.npy", random(97, 5))
    with pytest.raises(SchemaError, match="these are point clouds without a grid: open them"):
        convert(sorted(tmp_path.glob("*.npy")), tmp_path / "set")


@pytest.mark.parametrize("kept", [(0, 1), (0, 2), (1, 1, 2), (0, 1, 2, 2)])
def test_incomplete_sets_are_told(tmp_path, kept):
    files, _ = mesh(tmp_path)
    with pytest.raises(SchemaError, match="give the three files of one set together"):
        convert([files[k] for k in kept], tmp_path / "set")


def test_shapes_that_disagree_are_told(tmp_path):
    files, _ = mesh(tmp_path)
    np.save(files[1], random(7, 6, 4))
    with pytest.raises(SchemaError, match=r"\(7, 6, 5\) of X, \(7, 6, 4\) of Y"):
        convert(files, tmp_path / "set")


def test_unknown_channel_is_told(tmp_path):
    files, _ = mesh(tmp_path)
    with pytest.raises(SchemaError, match=r"channels \[3\], expected some of 0 to 2"):
        thuml.convert(files, tmp_path / "set", channels=[3])


class Pickled:
    """What an attacker would put there: loading it would call a function."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def test_pickled_objects_are_refused_and_never_run(tmp_path):
    array = np.empty(3, object)
    array[:] = [Pickled()] * 3
    np.save(tmp_path / "a_X.npy", array, allow_pickle=True)
    with pytest.raises(UnsafeFileError, match="pickled objects"):
        convert([tmp_path / "a_X.npy"], tmp_path / "set")
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Pickled()))
    with pytest.raises(UnknownFormatError):
        convert([tmp_path / "b.npy"], tmp_path / "set")


@pytest.mark.parametrize("dtype", ["complex64", "U3", [("a", "f4")]])
def test_other_than_real_numbers_are_refused(tmp_path, dtype):
    np.save(tmp_path / "a_X.npy", np.zeros((3, 4, 5), dtype))
    with pytest.raises(UnsupportedDtypeError):
        convert([tmp_path / "a_X.npy"], tmp_path / "set")


def test_shape_bomb_is_told_as_missing_bytes(tmp_path):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000, 1000), }"
    text = header.ljust(117).encode() + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    (tmp_path / "a_X.npy").write_bytes(content)
    with pytest.raises(TruncatedFileError, match="expected 4000000000128 bytes"):
        convert([tmp_path / "a_X.npy"], tmp_path / "set")


def test_damaged_header_is_told(tmp_path):
    files, _ = mesh(tmp_path)
    content = files[2].read_bytes()
    files[2].write_bytes(content.replace(b"'descr'", b"'descx'"))
    with pytest.raises(ChecksumError, match="unreadable header"):
        convert(files, tmp_path / "set")


def test_truncated_arrays_are_told(tmp_path, tools):
    files, _ = mesh(tmp_path, samples=2)
    tools.truncations_are_told(files, tmp_path)
