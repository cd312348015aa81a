"""The loss patch by patch: which patches, on which grid."""

import pytest
import torch
from torch import nn

from pdesolve import Batch, Grid
from pdesolve.losses import RelativeL2, Sobolev
from pdesolve.training import Patchwise, one_step


def batch_on(grid, generator, mask=None):
    x, y = (torch.randn(2, 1, *grid.shape, generator=generator).double() for _ in range(2))
    return Batch(x, y, grid, mask=mask)


@pytest.mark.parametrize("shape", [(8, 12), (4, 20)])
def test_the_loss_is_the_mean_over_patches(shape, generator):
    batch = batch_on(Grid(shape, 1.0, True), generator)
    found = Patchwise(levels=2)(nn.Identity(), batch, RelativeL2())
    p, q = shape[0] // 4, shape[1] // 4
    errors = []
    for b in range(2):
        for i in range(4):
            for j in range(4):
                here = (b, 0, slice(i * p, (i + 1) * p), slice(j * q, (j + 1) * q))
                errors.append((batch.x[here] - batch.y[here]).norm() / batch.y[here].norm())
    torch.testing.assert_close(found, torch.stack(errors).mean(), rtol=1e-12, atol=0)


def test_masked_points_count_nothing_in_their_patch(generator):
    mask = torch.rand(2, 1, 8, 8, generator=generator) > 0.4
    batch = batch_on(Grid((8, 8), 1.0, True), generator, mask.double())
    spoiled = Batch(torch.where(mask, batch.x, 1e3), batch.y, batch.grid, mask=batch.mask)
    losses = [Patchwise(1)(nn.Identity(), b, RelativeL2()) for b in (batch, spoiled)]
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        (Grid((8, 12), (1.0, 3.0), True), Grid((4, 6), (3 / 8, 5 / 4), False)),
        (Grid((9 - 1, 8), (1.0, 7.0), False), Grid((4, 4), (3 / 7, 3.0), False)),
        (Grid((8, 8), (1.0, 2.0), True, "cell"), Grid((4, 4), (0.5, 1.0), False, "cell")),
        (Grid((8, 8), 1.0, False, offset=0.01), Grid((4, 4), 3 / 8, False)),
    ],
)
def test_patches_keep_the_spacing_and_have_no_other_side(grid, expected, generator):
    seen = []

    def loss(prediction, target, *, grid=None, mask=None):
        seen.append(grid)
        return prediction.sum()

    Patchwise(1)(nn.Identity(), batch_on(grid, generator), loss)
    assert seen[0].shape == expected.shape and seen[0].placement == expected.placement
    assert seen[0].lengths == pytest.approx(expected.lengths, rel=1e-14)
    assert seen[0].spacing == pytest.approx(grid.spacing, rel=1e-14)
    assert not any(seen[0].periodic)


def test_differences_do_not_reach_across_a_patch(generator):
    # The error is constant on each patch, so that only differences between patches see it.
    grid = Grid((16,), 1.0, True)
    y = torch.randn(1, 1, 16, generator=generator).double()
    batch = Batch(y + (torch.arange(16) >= 8), y, grid)
    loss = Sobolev(1, homogeneous=True)
    assert Patchwise(1)(nn.Identity(), batch, loss) == pytest.approx(0, abs=1e-14)
    assert one_step(nn.Identity(), batch, loss) > 0.01


def test_levels_below_one_are_refused():
    with pytest.raises(ValueError, match="levels is 0, expected >= 1"):
        Patchwise(0)
