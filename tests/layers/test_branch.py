import pytest
import torch

from pdesolve.layers.branch import Branch


def test_fields_then_parameters_enter_the_network(device):
    branch = Branch(2, (3,), 1, 4, (), torch.tanh).to(device)
    x, condition = torch.randn(5, 2, 3, device=device), torch.randn(5, 1, device=device)
    seen = torch.cat([x[:, 0], x[:, 1], condition], 1)
    torch.testing.assert_close(branch(x, condition), branch.network.layers[0](seen))


def test_a_design_is_told_by_its_parameters_alone(device):
    branch = Branch(0, (3, 3), 2, 4, (5,), torch.tanh).to(device)
    assert branch(None, torch.ones(2, 2, device=device)).shape == (2, 4)
    with pytest.raises(ValueError, match="sees neither fields nor parameters"):
        Branch(0, (3, 3), 0, 4, (5,), torch.tanh)
