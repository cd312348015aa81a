import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.ops.mirror import mirrored
from pdesolve.ops.norms import sobolev

GRIDS = [
    Grid((9, 8), (2.0, 3.0), False),
    Grid((8, 9), (2.0, 3.0), False, placement="cell"),
    Grid((8, 9), (2.0, 3.0), (False, True)),
    Grid((9, 8), (2.0, 3.0), (True, False), placement="cell"),
]


@pytest.mark.parametrize("order", [-1, -0.5, 0.5, 1, 2])
@pytest.mark.parametrize("grid", GRIDS)
def test_the_norm_of_a_cosine_between_walls_is_exact(grid, order, device):
    x, y = grid.coordinates(device=device)
    # A whole wave on periodic axes, half a wave and a whole one between walls.
    kx, ky = (
        math.pi * waves / length * (2 if periodic else 1)
        for waves, length, periodic in zip((1, 2), grid.lengths, grid.periodic, strict=True)
    )
    u = torch.cos(kx * x) * torch.cos(ky * y)
    expected = 0.5 * (1 + kx**2 + ky**2) ** (order / 2)
    result = sobolev(*_of(u[None, None], grid, order))
    assert result.item() == pytest.approx(expected, rel=1e-12)


def _of(u, grid, order):
    extended, lengths = mirrored(u, grid)
    return extended, order, lengths


@pytest.mark.parametrize("placement", ["node", "cell"])
def test_first_order_is_the_gradient_of_a_field_that_is_steep_at_the_walls(placement):
    # u = x: ∫u² + ∫u'² over (0, 1) is 1/3 + 1; the kink of its mirror image costs first order.
    errors = []
    for n in (64, 128):
        grid = Grid((n,), 1.0, False, placement=placement)
        u = grid.axis(0)[None, None]
        errors.append(abs(sobolev(*_of(u, grid, 1)).item() - math.sqrt(4 / 3)))
    assert errors[0] < 0.02
    assert errors[1] < 0.6 * errors[0]


def test_a_stored_sub_grid_is_mirrored_at_its_own_ends():
    grid = Grid((4,), 1.0, False, offset=0.05)
    extended, lengths = mirrored(torch.arange(4.0).reshape(1, 1, 4), grid)
    assert extended.flatten().tolist() == [0, 1, 2, 3, 2, 1]
    assert lengths == (6 * 0.25,)


def test_an_axis_of_one_point_stays():
    extended, lengths = mirrored(torch.ones(1, 1, 1, 2), Grid((1, 2), (3.0, 1.0), False))
    assert extended.shape == (1, 1, 1, 2)
    assert lengths == (3.0, 2.0)
