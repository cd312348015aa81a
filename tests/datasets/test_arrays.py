import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.datasets import (
    ExistingFileError,
    NonFiniteError,
    SchemaError,
    from_arrays,
    open_dataset,
    validate,
    verify,
)

GRID = Grid((5, 4), (1.0, 2.0), (True, False))


def random(*shape, dtype="float32"):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("as_tensor", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("on_disk", [True, False])
def test_arrays_come_back_as_batches(tmp_path, as_tensor, dtype, on_disk):
    x, y = random(6, 3, 5, 4, dtype=dtype), random(6, 5, 4, dtype=dtype)
    given = (torch.tensor(x), torch.tensor(y)) if as_tensor else (x, y)
    dataset = from_arrays(*given, grid=GRID, path=tmp_path / "a.h5" if on_disk else None)
    batch = dataset.batch([4, 0])
    assert np.array_equal(batch.x.numpy(), x[[4, 0]])
    assert np.array_equal(batch.y[:, 0].numpy(), y[[4, 0]])
    assert batch.x.numpy().dtype == batch.y.numpy().dtype == np.dtype(dtype)
    assert dataset.input_names == ("input_0", "input_1", "input_2")
    assert dataset.output_names == ("output",)
    assert dataset.grid == GRID


def test_written_file_is_valid_and_opens_later(tmp_path):
    path = tmp_path / "mine.h5"
    dataset = from_arrays(
        random(6, 5, 4),
        random(6, 2, 5, 4),
        grid=GRID,
        path=path,
        input_names=["permeability"],
        output_names=["u", "v"],
        units={"u": "m/s"},
        condition=random(6, 1, dtype="float64"),
        condition_names=["viscosity"],
    )
    assert validate(path) == []
    assert verify(path).errors == ()
    later = open_dataset(path)
    assert (later.name, later.input_names, later.output_names) == (
        "mine",
        ("permeability",),
        ("u", "v"),
    )
    assert later.units == {"permeability": "1", "u": "m/s", "v": "1"}
    assert np.array_equal(later.batch([3]).condition, random(6, 1)[3:4])
    assert later.data_hash == dataset.data_hash
    with pytest.raises(ExistingFileError):
        from_arrays(random(6, 5, 4), random(6, 5, 4), grid=GRID, path=path)


def test_memory_and_file_have_the_same_hash(tmp_path):
    # Names out of alphabetical order: the hash goes by name, the channels by position.
    names = {"input_names": ["z", "a"], "output_names": ["m"]}
    arrays = random(3, 2, 5, 4), random(3, 5, 4)
    here = from_arrays(*arrays, grid=GRID, **names)
    there = from_arrays(*arrays, grid=GRID, path=tmp_path / "a.h5", **names)
    assert here.data_hash == there.data_hash
    assert torch.equal(here.batch([1]).x, there.batch([1]).x)


def test_memory_does_not_share_the_caller_s_array():
    x = random(3, 5, 4)
    dataset = from_arrays(x, x, grid=GRID)
    before = dataset.batch([0]).x
    x[:] = 0
    assert torch.equal(dataset.batch([0]).x, before)


@pytest.mark.parametrize("periodic", [(True,), (True, False), (False,) * 3])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_axes_follow_from_periodic(periodic, channels):
    space = (4, 5, 6)[: len(periodic)]
    dataset = from_arrays(random(2, *channels, *space), random(2, *space), periodic=periodic)
    assert dataset.grid == Grid(space, 1.0, periodic)
    assert dataset.in_channels == (channels or (1,))[0]


def test_without_a_grid_four_axes_have_a_channel_axis():
    dataset = from_arrays(random(2, 3, 5, 4), random(2, 1, 5, 4))
    assert (dataset.in_channels, dataset.grid) == (3, Grid((5, 4), 1.0, False))


def test_without_a_grid_three_axes_are_ambiguous():
    with pytest.raises(SchemaError, match=r"periodic=\(False, False\)"):
        from_arrays(random(2, 64, 64), random(2, 64, 64))


@pytest.mark.parametrize("dtype", ["bool", "int64", "float16"])
def test_other_numbers_become_float32(dtype):
    dataset = from_arrays(np.ones((2, 5, 4), dtype), random(2, 5, 4), grid=GRID)
    assert dataset.batch([0]).x.dtype == torch.float32


@pytest.mark.parametrize(
    ("x", "y", "settings", "message"),
    [
        ((3, 5, 4), (2, 5, 4), {}, "x has 3 samples and y has 2"),
        ((3, 5, 4), (3, 5, 5), {}, r"x has points \(5, 4\) and y has \(5, 5\)"),
        ((3, 5, 5), (3, 5, 5), {}, r"the grid has \(5, 4\)"),
        ((3, 1, 2, 5, 4), (3, 5, 4), {}, r"x: shape \(3, 1, 2, 5, 4\)"),
        ((3,), (3, 5, 4), {}, r"x: shape \(3,\)"),
        ((0, 5, 4), (0, 5, 4), {}, "none empty"),
        ((3, 2, 5, 4), (3, 5, 4), {"input_names": ["a"]}, "1 names for 2 channels"),
        ((3, 5, 4), (3, 5, 4), {"input_names": ["a b"]}, "identifier"),
        ((3, 5, 4), (3, 5, 4), {"input_names": ["u"], "output_names": ["u"]}, "twice"),
        ((3, 5, 4), (3, 5, 4), {"condition": np.ones((3, 2))}, "condition"),
        ((3, 5, 4), (3, 5, 4), {"condition_names": ["a"]}, "condition"),
        ((3, 5, 4), (3, 5, 4), {"periodic": (True, True)}, "both given"),
    ],
)
def test_mismatched_sizes_and_names_are_told(x, y, settings, message):
    with pytest.raises(SchemaError, match=message):
        from_arrays(random(*x), random(*y), grid=GRID, **settings)


def test_complex_numbers_are_refused():
    with pytest.raises(SchemaError, match="complex64"):
        from_arrays(random(2, 5, 4) + 1j * np.float32(1), random(2, 5, 4), grid=GRID)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_names_channel_sample_and_count(tmp_path, bad):
    x = random(6, 2, 5, 4)
    x[3, 1, 0, :2] = x[5, 0, 0, 0] = bad
    with pytest.raises(NonFiniteError, match=r"b: sample 3 has 2 .*, 2 samples have some"):
        from_arrays(x, random(6, 5, 4), grid=GRID, input_names=["a", "b"], path=tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_nan_in_a_condition_is_refused():
    condition = np.array([[1.0], [np.nan]])
    with pytest.raises(NonFiniteError, match="condition"):
        from_arrays(
            random(2, 5, 4),
            random(2, 5, 4),
            grid=GRID,
            condition=condition,
            condition_names=["a"],
        )
