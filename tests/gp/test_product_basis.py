"""Products of functions against the functions of each axis."""

import torch

from pdesolve.gp.features import Features
from pdesolve.gp.product_basis import Combination, ProductBasis, SideBySide

LOW = Features(torch.tensor([0.0, 0.7]).double(), 0.5)
HIGH = Features(torch.tensor([2.3]).double(), 0.5)
BASIS = ProductBasis([LOW, SideBySide([HIGH, Combination(LOW, torch.ones(3, 1).double())])])


def test_a_product_is_one_function_of_each_axis_last_axis_fastest():
    x, y = torch.tensor([0.1, 0.4]).double(), torch.tensor([0.2, 0.3, 0.9]).double()
    rows = BASIS([x, y], (1, 2))
    assert rows.shape == (6, 9)
    # Row of (x_1, y_2), column of the sine of axis 0 and the sum of the low functions of axis 1.
    turn = 2 * torch.pi * torch.tensor(0.7).double()
    slope = turn * torch.cos(turn * (x[1] - 0.5))
    phase = turn * (y[2] - 0.5)
    bend = -(turn**2) * (torch.cos(phase) + torch.sin(phase))
    torch.testing.assert_close(rows[5, 8], slope * bend)


def test_scattered_points_of_a_grid_are_its_tensor_product():
    x, y = torch.tensor([0.1, 0.4]).double(), torch.tensor([0.2, 0.3, 0.9]).double()
    points = torch.cartesian_prod(x, y)
    torch.testing.assert_close(BASIS.scattered(points, (0, 1)), BASIS([x, y], (0, 1)))


def test_the_highest_frequency_is_that_of_any_part():
    assert BASIS.bases[1].top == HIGH.top > LOW.top
