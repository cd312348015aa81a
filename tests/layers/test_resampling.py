import pytest
import torch

from pdesolve import Grid
from pdesolve.layers.resampling import resampled

WALLS = Grid((5, 9), (1.0, 2.0), periodic=False)


def linear(grid, device):
    x, y = grid.coordinates(device=device)
    return (1 + 2 * x - 3 * y)[None, None]


@pytest.mark.parametrize(
    "grid",
    [
        WALLS,
        Grid((6, 4), (1.0, 2.0), periodic=False, placement="cell"),
        Grid((6, 4), (1.0, 2.0), periodic=False, offset=0.02),
    ],
)
@pytest.mark.parametrize("shape", [(9, 17), (3, 4), (7, 30)])
def test_linear_fields_are_carried_exactly(grid, shape, device):
    target = grid.resized(shape)
    found = resampled(linear(grid, device), grid, target)
    torch.testing.assert_close(found, linear(target, device), rtol=0, atol=1e-12)


def test_a_periodic_axis_is_interpolated_across_its_end():
    grid = Grid((4,), 1.0, periodic=True)
    x = torch.tensor([[[0.0, 1.0, 2.0, 3.0]]])
    fine = resampled(x, grid, grid.resized((8,)))
    assert torch.equal(fine, torch.tensor([[[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 1.5]]]))


def test_the_same_grid_changes_nothing():
    x = torch.randn(1, 1, 5, 9)
    assert resampled(x, WALLS, WALLS) is x
