import torch

from pdesolve import Batch, Grid


def test_moving_a_batch_casts_every_tensor():
    grid = Grid((4,), 1.0, True)
    batch = Batch(torch.zeros(2, 1, 4), torch.zeros(2, 1, 4), grid, torch.zeros(2, 3))
    moved = batch.to(torch.float64)
    assert moved.x.dtype == moved.y.dtype == moved.condition.dtype == torch.float64
    assert moved.mask is None
    assert len(moved) == 2
