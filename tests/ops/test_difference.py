import itertools
import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.ops import difference

PLACEMENTS = {
    "periodic": lambda n: Grid((n,), (2.0,), True),
    "periodic cell": lambda n: Grid((n,), (2.0,), True, "cell"),
    "node": lambda n: Grid((n,), (2.0,), False),
    "cell": lambda n: Grid((n,), (2.0,), False, "cell"),
    "offset": lambda n: Grid((n,), (2.0,), False, offset=0.3 * 2.0 / n),
}


def wave_and_derivatives(x):
    kappa = math.pi  # one period on a box of length 2
    u = torch.sin(kappa * x + 0.8)
    return u, kappa * torch.cos(kappa * x + 0.8), -(kappa**2) * u


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_error_falls_with_the_square_of_the_spacing(device, placement, order):
    errors = []
    for n in (100, 200, 400):
        grid = PLACEMENTS[placement](n)
        u, *derivatives = wave_and_derivatives(grid.axis(0, device=device))
        result = difference.derivative(u, (order,), grid)
        errors.append((result - derivatives[order - 1]).abs().max())
    for coarse, fine in itertools.pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("orders", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_mixed_derivative_is_of_second_order_up_to_the_walls(device, orders):
    errors = []
    for n in (40, 80, 160):
        grid = Grid((n, n + 1), (2.0, 2.0), (True, False))
        x, y = grid.coordinates(device=device)
        expected = wave_and_derivatives(x)[orders[0]] * wave_and_derivatives(y)[orders[1]]
        u = wave_and_derivatives(x)[0] * wave_and_derivatives(y)[0]
        errors.append((difference.derivative(u, orders, grid) - expected).abs().max())
    assert math.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("n", [4, 5, 9, 16])
@pytest.mark.parametrize("placement", ["node", "cell", "offset"])
def test_parabola_has_exact_derivatives_at_every_point(device, placement, n, dtype, tolerance):
    grid = PLACEMENTS[placement](n)
    x = grid.axis(0, device=device)
    u = (3 * x**2 - x + 2).to(dtype)
    first = difference.derivative(u, (1,), grid)
    second = difference.derivative(u, (2,), grid)
    assert first.dtype == second.dtype == dtype
    torch.testing.assert_close(first.double(), 6 * x - 1, rtol=tolerance, atol=tolerance)
    # float32 cancellation grows with 1/h², here up to 256/4 times 14 times 6e-8.
    torch.testing.assert_close(second.double(), torch.full_like(x, 6.0), rtol=tolerance, atol=0)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_axes_before_the_grid_are_batch(device, generator, lead):
    grid = Grid((5, 4, 6), (1.0, 2.0, 3.0), (False, True, False))
    u = torch.randn((*lead, 5, 4, 6), generator=generator, dtype=torch.float64).to(device)
    result = difference.derivative(u, (1, 2, 2), grid)
    singly = [
        difference.derivative(sample, (1, 2, 2), grid) for sample in u.reshape(-1, *grid.shape)
    ]
    torch.testing.assert_close(result, torch.stack(singly).reshape(u.shape), rtol=0, atol=0)


def test_gradient_of_a_linear_field_is_its_slopes(device):
    grid = Grid((5, 7), (1.0, 3.0), False, "cell")
    x, y = grid.coordinates(device=device)
    result = difference.gradient((2 * x - 3 * y)[None, None], grid)
    assert result.shape == (2, 1, 1, 5, 7)
    torch.testing.assert_close(result[0], torch.full_like(result[0], 2.0))
    torch.testing.assert_close(result[1], torch.full_like(result[1], -3.0))


def test_order_zero_returns_the_field_itself():
    u = torch.randn(3, 4)
    assert difference.derivative(u, (0,), Grid((4,), (1.0,), True)) is u


def test_gradients_are_those_of_finite_differences(generator):
    u = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64).requires_grad_()
    grid = Grid((4, 5), (1.0, 2.0), (True, False))
    assert torch.autograd.gradcheck(lambda u: difference.derivative(u, (1, 2), grid), (u,))


@pytest.mark.parametrize(
    ("shape", "orders", "grid", "message"),
    [
        ((4,), (3,), Grid((4,), (1.0,), True), "orders is .* expected 0, 1 or 2"),
        ((4,), (1, 0), Grid((4,), (1.0,), True), "orders is .* for each of 1 axes"),
        ((5,), (1,), Grid((4,), (1.0,), True), "u has shape .* expected .* pass the grid"),
        ((3,), (2,), Grid((3,), (1.0,), False), "u has 3 points on axis 0, expected >= 4"),
    ],
)
def test_impossible_arguments_are_named(shape, orders, grid, message):
    with pytest.raises(ValueError, match=message):
        difference.derivative(torch.ones(shape), orders, grid)
