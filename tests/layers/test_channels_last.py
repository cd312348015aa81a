import pytest
import torch

from pdesolve.layers.channels_last import channels_last


@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 5)])
def test_channels_are_next_to_each_other_and_values_the_same(shape, device):
    u = torch.randn(2, 3, *shape, device=device)
    v = channels_last(u)
    assert v.stride(1) == 1
    assert torch.equal(u, v)
    assert channels_last(v) is v


def test_a_field_of_one_axis_stays_as_it_is():
    u = torch.randn(2, 3, 5)
    assert channels_last(u) is u
