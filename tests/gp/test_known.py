"""Given fields at any points, with derivatives."""

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp.axis import axes_of
from pdesolve.gp.known import Interpolant, differentiated, field_values
from pdesolve.ops.formula import Formula


@pytest.mark.parametrize("field", [lambda x, y: x.sin() * y**3, Formula("sin(x)*y**3", "xy")])
@pytest.mark.parametrize("orders", [(0, 0), (1, 0), (0, 2), (2, 1)])
def test_functions_are_differentiated_exactly(field, orders):
    x, y = torch.linspace(0, 1, 5).double(), torch.linspace(0, 2, 4).double()
    factors = {0: x.sin(), 1: x.cos(), 2: -x.sin()}, {0: y**3, 1: 3 * y**2, 2: 6 * y}
    truth = factors[0][orders[0]][:, None] * factors[1][orders[1]]
    torch.testing.assert_close(field_values(field, orders, [x, y]), truth)


def test_a_number_has_no_slope():
    points = [torch.linspace(0, 1, 3).double()]
    assert torch.equal(field_values(2.5, (0,), points), torch.full((3,), 2.5).double())
    assert torch.equal(field_values(2.5, (1,), points), torch.zeros(3).double())


def test_stored_values_are_interpolated_with_their_derivatives():
    grid = Grid((80, 70), (1.0, 2.0), False)
    x, y = grid.coordinates()
    field = Interpolant("field", torch.sin(9 * x) * torch.cos(4 * y), axes_of(grid))
    at = [torch.tensor([0.123, 0.9]).double(), torch.tensor([0.01, 1.7]).double()]
    truth = 9 * torch.cos(9 * at[0])[:, None] * -4 * torch.sin(4 * at[1])
    torch.testing.assert_close(field.at((1, 1), at), truth, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [(torch.zeros(9), r"shape \(9,\), expected the grid's \(10,\)"),
     (torch.full((10,), float("nan")), "NaN")],
)  # fmt: skip
def test_stored_values_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Interpolant("source", values, axes_of(Grid((10,), 1.0, False)))


def test_differentiation_is_nested():
    x = torch.tensor([0.3]).double()
    torch.testing.assert_close(differentiated(torch.exp, (3,))(x), torch.exp(x))


@pytest.mark.parametrize("shape", [(24, 27), (36, 40), (80, 80)])
@pytest.mark.parametrize("level", [0.0, 1e-6, 1e-2])
def test_white_noise_of_stored_values_is_found_on_few_nodes_too(shape, level):
    grid = Grid(shape, 1.0, False)
    x, y = grid.coordinates()
    generator = torch.Generator().manual_seed(1)
    white = torch.randn(shape, generator=generator, dtype=torch.float64)
    field = Interpolant("f", torch.sin(9 * x) * torch.cos(7 * y) + level * white, axes_of(grid))
    assert field.noise == pytest.approx(level, rel=0.15)


def test_given_noise_ends_the_search_for_bands():
    # Two nodes more than the base band has functions: too few to show that the rest is white.
    grid = Grid((20, 20), 1.0, False)
    x, y = grid.coordinates()
    generator = torch.Generator().manual_seed(1)
    white = torch.randn((20, 20), generator=generator, dtype=torch.float64)
    values = torch.sin(5 * x) * torch.cos(4 * y) + 1e-2 * white
    field = Interpolant("f", values, axes_of(grid), 1e-2)
    assert field.noise == field.given_noise == 1e-2
    assert all(spectrum.bands == ((0.0, 4.0),) for spectrum in field.spectra)
