"""Expansions on grids, blocks and scattered points."""

import pytest
import torch

from pdesolve.gp import expansion as module
from pdesolve.gp.expansion import Expansion
from pdesolve.gp.features import Features

BASES = [Features(torch.tensor(f).double(), 0.5) for f in ((0.0, 1.0), (0.4,), (0.7, 1.3))]


def of_dims(d):
    shape = [3, 2, 4][:d]
    core = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = [torch.linspace(0, 1, n, dtype=torch.float64) for n in (5, 4, 3)[:d]]
    return Expansion(BASES[:d], core), points


@pytest.mark.parametrize("d", [1, 2, 3])
def test_blocks_scattered_points_and_grids_agree(d, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 2 if d == 1 else 13)
    found, points = of_dims(d)
    orders = [(1,) * d, (0,) * d]
    blocks = list(found.blocks(points, orders))
    assert len(blocks) > 1
    for index, order in enumerate(orders):
        whole = found(points, order)
        torch.testing.assert_close(torch.cat([b[2][index] for b in blocks]), whole)
        mesh = torch.stack(torch.meshgrid(*points, indexing="ij"), -1).reshape(-1, d)
        torch.testing.assert_close(found.scattered(mesh, order), whole.flatten())


def test_one_axis_is_the_sum_over_its_functions():
    found, (x,) = of_dims(1)
    torch.testing.assert_close(found([x]), BASES[0](x) @ found.core)
