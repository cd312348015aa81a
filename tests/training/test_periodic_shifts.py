import pytest
import torch

from pdesolve.batch import Batch
from pdesolve.datasets import from_arrays
from pdesolve.grid import Grid
from pdesolve.training import PeriodicShifts


def batch_of(grid, device, samples=64):
    points = torch.arange(grid.shape[0] * grid.shape[1], device=device, dtype=torch.float32)
    field = points.reshape(1, 1, *grid.shape).expand(samples, 1, *grid.shape).clone()
    return Batch(field, torch.cat([field, -field], 1), grid, mask=(field > 3).float())


def test_x_y_and_mask_are_seen_from_the_same_place(device):
    batch = batch_of(Grid((4, 3), 1.0, True), device)
    found = PeriodicShifts()(batch, range(64), seed=0, epoch=0)
    assert torch.equal(found.y, torch.cat([found.x, -found.x], 1))
    assert torch.equal(found.mask, (found.x > 3).float())
    views = torch.unique(found.x[:, 0], dim=0)
    expected = [batch.x[0, 0].roll((i, j), (0, 1)) for i in range(4) for j in range(3)]
    assert len(views) == len(expected)
    assert all(any(torch.equal(view, one) for one in expected) for view in views)


def test_axes_with_walls_stay(device):
    batch = batch_of(Grid((4, 3), 1.0, (False, True)), device)
    views = torch.unique(PeriodicShifts()(batch, range(64), seed=0, epoch=0).x[:, 0], dim=0)
    assert len(views) == 3
    assert torch.equal(views.sort(2).values, batch.x[:3, 0])


def test_shifts_follow_seed_epoch_and_index_alone(device):
    batch, shifts = batch_of(Grid((8, 7), 1.0, True), device, samples=4), PeriodicShifts()
    first = shifts(batch, [3, 1, 4, 0], seed=0, epoch=2).x
    again = shifts(batch, [0, 3, 5, 6], seed=0, epoch=2).x
    assert torch.equal(first[0], again[1])
    assert torch.equal(first[3], again[0])
    for other in ({"seed": 1, "epoch": 2}, {"seed": 0, "epoch": 3}):
        assert not torch.equal(first, shifts(batch, [3, 1, 4, 0], **other).x)


def test_a_box_with_walls_only_is_refused():
    fields = torch.randn(2, 1, 4, 4)
    dataset = from_arrays(fields, fields, periodic=(False, False))
    with pytest.raises(ValueError, match="expected one with a periodic axis"):
        PeriodicShifts().check(dataset)
    PeriodicShifts().check(from_arrays(fields, fields, periodic=(False, True)))
