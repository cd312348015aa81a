import math

import pytest
import torch

from pdesolve.batch import Batch
from pdesolve.evaluation.fields import Names, planes
from pdesolve.evaluation.panels import MAX_ROWS, prediction_panel, samples_figure
from pdesolve.grid import Grid

NAMES = Names(("coefficient",), ("solution",), {"solution": "K", "x": "m"})


def drawn(figure):
    return [axes for axes in figure.axes if axes.images]


@pytest.fixture
def map_of_one_cell():
    # One cell of height 1 at x = 0.6, y = 0.1; the prediction is 1.1 there and 0 elsewhere.
    grid = Grid((5, 10), (1.0, 2.0), True)
    y = torch.zeros(1, 5, 10)
    y[0, 3, 1] = 1
    return prediction_panel(y, y, 1.1 * y, grid=grid, names=NAMES, title="Worst")


def test_first_axis_runs_to_the_right_and_second_upwards(map_of_one_cell):
    truth = drawn(map_of_one_cell)[1].images[0]
    assert truth.origin == "lower"
    assert truth.get_array().shape == (10, 5)
    assert truth.get_array()[1, 3] == 1


def test_cells_surround_their_points(map_of_one_cell):
    truth = drawn(map_of_one_cell)[1].images[0]
    assert truth.get_extent() == pytest.approx([-0.1, 0.9, -0.1, 1.9])


def test_truth_and_prediction_share_a_scale_and_the_error_is_symmetric(map_of_one_cell):
    _, truth, prediction, error = (axes.images[0].get_clim() for axes in drawn(map_of_one_cell))
    assert truth == prediction == pytest.approx((0, 1.1))
    assert error == pytest.approx((-0.1, 0.1))


def test_labels_carry_units(map_of_one_cell):
    truth = drawn(map_of_one_cell)[1]
    labels = [axes.get_xlabel() for axes in map_of_one_cell.axes if not axes.images]
    assert (truth.get_xlabel(), truth.get_ylabel()) == ("x (m)", "y")
    assert "solution (K)" in labels and "coefficient" in labels


@pytest.mark.parametrize("wild", [100.0, -100.0, math.inf, -math.inf, math.nan])
def test_wild_prediction_does_not_flatten_the_truth(wild):
    grid = Grid((4, 4), 1.0, True)
    y = torch.arange(16.0).view(1, 4, 4) / 15
    prediction = y.clone()
    prediction[0, 0, 0] = wild
    figure = prediction_panel(y, y, prediction, grid=grid, names=NAMES)
    low, high = drawn(figure)[1].images[0].get_clim()
    assert -0.25 <= low <= 0
    assert 1 <= high <= 1.25


def test_perfect_prediction_of_a_constant_can_be_drawn():
    y = torch.ones(1, 4, 3)
    figure = prediction_panel(y, y, y, grid=Grid((4, 3), 1.0, True), names=NAMES)
    assert drawn(figure)[3].images[0].get_clim() == (-1, 1)


def test_one_axis_is_drawn_as_lines_at_the_points():
    grid = Grid((7,), 3.0, False)
    x, y = torch.rand(1, 7), torch.rand(1, 7)
    left, middle, right = prediction_panel(x, y, y + 1, grid=grid, names=NAMES).axes
    assert left.lines[0].get_ydata() == pytest.approx(x[0].numpy())
    assert [line.get_label() for line in middle.lines] == ["truth", "prediction"]
    assert right.lines[1].get_xdata() == pytest.approx(grid.axis(0).numpy())
    assert right.lines[1].get_ydata() == pytest.approx([1.0] * 7)


def test_three_axes_are_cut_through_the_middle():
    grid = Grid((4, 6, 8), (1.0, 2.0, 4.0), True)
    u = grid.coordinates()[2:]
    figure = prediction_panel(u, u, u, grid=grid, names=NAMES)
    flat, _, upright = drawn(figure)[::4]
    assert (flat.images[0].get_array() == 2.0).all()
    assert flat.get_title() == "input at z = 2"
    assert (upright.get_xlabel(), upright.get_ylabel()) == ("y", "z")
    assert upright.images[0].get_array()[:, 0].tolist() == grid.axis(2).tolist()


def test_more_axes_are_refused():
    with pytest.raises(ValueError, match="grid has 4 axes"):
        planes(Grid((2, 2, 2, 2), 1.0, True))


def test_channels_beyond_the_last_row_are_left_out():
    u = torch.rand(MAX_ROWS + 3, 4, 4)
    names = Names(("a",), tuple(f"u{i}" for i in range(len(u))))
    figure = prediction_panel(u[:1], u, u, grid=Grid((4, 4), 1.0, True), names=names)
    assert len(drawn(figure)) == 1 + 3 * MAX_ROWS


@pytest.mark.parametrize("shape", [(6,), (5, 4), (3, 4, 5)])
def test_stored_samples_are_drawn_a_row_each(shape):
    x = torch.rand(3, 1, *shape)
    figure = samples_figure(Batch(x, x, Grid(shape, 1.0, True)), names=NAMES)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert [title.split(" at ")[0] for title in titles] == ["coefficient", "solution"] * 3
