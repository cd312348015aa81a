import h5py
import numpy as np
import pytest

from pdesolve.datasets import FieldSpec
from pdesolve.datasets.stored import Stored


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        yield opened


@pytest.mark.parametrize(
    ("axes", "part"),
    [("ntxy", None), ("ntxyc", None), ("ntcxy", 1), ("1ntyx", None), ("nxy", None), ("ntx", None)],
)
def test_any_order_of_axes_is_read_in_one_order(file, axes, part):
    sizes = {"n": 5, "t": 4, "x": 6, "y": 9, "c": 2, "1": 1}
    values = np.random.default_rng(0).normal(size=[sizes[letter] for letter in axes])
    data = file.create_dataset("a/b", data=values)
    read = Stored("a/b", axes, part).read(
        data, slice(1, 4), slice(2, 4), (slice(0, 6, 2), slice(2, 9))
    )
    whole = values if part is None else values[:, :, part]
    kept = axes if part is None else axes.replace("c", "")
    # einsum orders the axes that are there; those that are not have one entry.
    order = [letter for letter in "ntxyc" if letter in kept]
    spelled = kept.replace("1", "z")
    expected = np.einsum(f"{spelled}->{''.join(order)}", whole)
    cuts = {"n": slice(1, 4), "t": slice(2, 4), "x": slice(0, 6, 2), "y": slice(2, 9)}
    expected = expected[tuple(cuts.get(letter, slice(None)) for letter in order)]
    shape = dict(zip(order, expected.shape, strict=True))
    assert read.shape == tuple(shape.get(letter, 1) for letter in "ntxyc")
    assert np.array_equal(read.reshape(expected.shape), expected)


def test_own_files_put_samples_first_and_components_last():
    field = FieldSpec("velocity", "output", time_varying=True, order=1)
    assert Stored.by_this_package(field, 2) == Stored("t1_fields/velocity", "ntxyc")
    still = FieldSpec("distance", "input", sample_varying=False)
    assert Stored.by_this_package(still, 3) == Stored("t0_fields/distance", "xyz")
