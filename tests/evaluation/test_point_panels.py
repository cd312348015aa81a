"""Pictures of scattered points, read back from the figure's own parts."""

import numpy as np
import pytest
import torch

from pdesolve.evaluation.fields import Names
from pdesolve.evaluation.point_panels import points_panel

NAMES = Names(["radius"], ["stress", "strain"], {"stress": "Pa"})


def panel(points, channels=2):
    generator = torch.Generator().manual_seed(0)
    truth, error = torch.rand(2, channels, len(points), generator=generator)
    return truth, error, points_panel(points, truth, truth + error, names=NAMES, title="one")


@pytest.mark.parametrize("dims", [2, 3])
def test_every_value_is_a_dot_at_its_place(dims):
    points = torch.rand(40, dims)
    truth, error, figure = panel(points)
    maps = [axes for axes in figure.axes if axes.get_title()]
    titles = ["truth", "prediction", "prediction \N{MINUS SIGN} truth"]
    assert [axes.get_title() for axes in maps] == 2 * titles
    for channel in range(2):
        drawn = [axes.collections[0] for axes in maps[3 * channel : 3 * channel + 3]]
        for dots, values in zip(
            drawn, (truth[channel], truth[channel] + error[channel], error[channel]), strict=True
        ):
            np.testing.assert_allclose(dots.get_offsets(), points[:, :2], rtol=1e-6)
            np.testing.assert_allclose(dots.get_array(), values, rtol=1e-4, atol=1e-6)
        assert drawn[0].get_clim() == drawn[1].get_clim()
        low, high = drawn[2].get_clim()
        assert -low == high == pytest.approx(float(error[channel].max()), rel=1e-4)
    assert "stress (Pa)" in [axes.get_xlabel() for axes in figure.axes]


def test_points_on_a_line_are_drawn_in_their_order():
    points = torch.tensor([[0.5], [0.0], [1.0]])
    truth, error, figure = panel(points, channels=1)
    order = [1, 0, 2]
    for axes, values in zip(figure.axes, (truth, truth + error, error), strict=True):
        x, y = axes.lines[0].get_data()
        np.testing.assert_allclose(x, [0.0, 0.5, 1.0])
        np.testing.assert_allclose(y, values[0, order], rtol=1e-4, atol=1e-6)


def test_a_perfect_prediction_has_a_picture():
    points, truth = torch.rand(5, 2), torch.ones(1, 5)
    assert points_panel(points, truth, truth, names=NAMES).axes
