from pathlib import Path

import numpy as np
import pytest

from pdesolve import Grid
from pdesolve.datasets import SchemaError
from pdesolve.datasets.formats import axes

FILE = Path("file.h5")
# Float32 coordinates far finer than their rounding allows for exact spacings.
FINE = ((np.arange(4096) + 0.5) / 4096 * 5 - 2.5).astype("float32")


def test_float32_cell_centres_give_the_exact_box():
    grid = axes.cells([FINE], False, file=FILE, places=["x"])
    assert grid == Grid((4096,), 5.0, False, "cell")
    assert axes.left_ends([FINE], grid) == [-2.5]


@pytest.mark.parametrize("points", [3, 16, 129])
@pytest.mark.parametrize("left", [0.0, -1.0, 3.0])
def test_nodes_and_cells_are_told_apart(points, left):
    both_ends = left + np.linspace(0, 2, points)
    periodic = left + 2 * np.arange(points) / points
    settings = {"file": FILE, "places": ["x"]}
    spacing = 2 / (points - 1)
    if abs(left / spacing % 1) < 1e-9:
        assert axes.uniform([both_ends], [False], **settings) == Grid((points,), 2.0, False)
    found = axes.uniform([periodic], [True], **settings)
    assert (found.shape, found.lengths, found.periodic) == ((points,), (2.0,), (True,))


def test_box_that_is_no_round_number_is_kept():
    length = 2 * np.pi
    grid = axes.uniform([length * np.arange(64) / 64], [True], file=FILE, places=["x"])
    assert grid.lengths[0] == pytest.approx(length, rel=1e-12)


@pytest.mark.parametrize(
    "values", [np.array([1.0]), np.ones((2, 2)), np.array([0, np.nan]), np.empty(0)]
)
def test_coordinates_that_are_none_are_told(values):
    with pytest.raises(SchemaError, match=r"file\.h5: x: coordinates of shape"):
        axes.spacing(values, file=FILE, place="x")


@pytest.mark.parametrize("values", [[0, 1, 3], [2, 1, 0], [1, 1, 1]])
def test_uneven_and_falling_coordinates_are_told(values):
    with pytest.raises(SchemaError, match="expected equal distances, ascending"):
        axes.spacing(np.array(values), file=FILE, place="x")


@pytest.mark.parametrize("surplus", [0, 1])
def test_times_may_exceed_the_frames_by_the_surplus(surplus):
    stored = np.arange(4.0) / 10
    found = axes.times(stored[: 3 + surplus], 3, file=FILE, place="t", surplus=surplus)
    assert found == tuple(float(np.float32(k / 10)) for k in range(3))
    with pytest.raises(SchemaError, match=r"times for 2 frames"):
        axes.times(stored[: 3 + surplus], 2, file=FILE, place="t", surplus=surplus)


def test_times_that_are_not_stored_are_frame_numbers():
    assert axes.times(None, 3, file=FILE, place="t") == (0.0, 1.0, 2.0)


def test_times_that_float32_cannot_tell_apart_are_told():
    with pytest.raises(SchemaError, match="times that do not ascend"):
        axes.times(np.array([1.0, 1.0 + 1e-12]), 2, file=FILE, place="t")
