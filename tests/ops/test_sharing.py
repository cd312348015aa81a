"""Rows shared among processes; the exchange itself is tested where a model is trained by it."""

import pytest
import torch
import torch.distributed as dist

from pdesolve.ops import sharing


@pytest.fixture
def alone():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


def test_without_a_group_everything_is_ours():
    rows = torch.randn(6, 2)
    assert sharing.share(6, None) == range(6)
    assert sharing.gather(rows, None) is rows


def test_a_group_of_one_has_all_rows_and_their_gradient(alone):
    rows = torch.randn(6, 2, requires_grad=True)
    assert sharing.share(6, alone) == range(6)
    gathered = sharing.gather(rows, alone)
    assert torch.equal(gathered, rows)
    gathered.square().sum().backward()
    torch.testing.assert_close(rows.grad, 2 * rows.detach())


def test_rows_go_to_processes_in_order_and_equal_parts(alone, monkeypatch):
    monkeypatch.setattr(dist, "get_world_size", lambda group: 4)
    monkeypatch.setattr(dist, "get_rank", lambda group: 2)
    assert sharing.share(12, alone) == range(6, 9)
    with pytest.raises(ValueError, match="10 rows cannot be shared by 4 processes"):
        sharing.share(10, alone)
