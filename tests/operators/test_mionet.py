import pytest
import torch

from pdesolve import Grid
from pdesolve.operators import MIONet

LINE = Grid((6,), 1.0, periodic=False)


def built(device, **options):
    torch.manual_seed(0)
    return MIONet(2, 2, domain=LINE, basis=3, branch=(4,), trunk=(4,), **options).to(device)


def merged(merge, seen, model):
    if merge == "concatenation":
        return model.merger(torch.cat(seen, 1))
    return seen[0] * seen[1] * seen[2] if merge == "product" else sum(seen)


@pytest.mark.parametrize("merge", ["product", "sum", "concatenation"])
def test_each_function_and_the_parameters_have_a_branch(merge, device):
    model = built(device, merge=merge, condition_dim=1)
    torch.nn.init.normal_(model.bias)
    x, condition = torch.randn(5, 2, 6, device=device), torch.randn(5, 1, device=device)
    b = [model.branches[0](x[:, :1], None), model.branches[1](x[:, 1:], None),
         model.branches[2](None, condition)]  # fmt: skip
    b = merged(merge, b, model).unflatten(1, (2, 3))
    t = model.trunk(2 * LINE.coordinates(device=device).float().T - 1).unflatten(1, (2, 3))
    expected = torch.einsum("bck,nck->bcn", b, t) + model.bias[:, None]
    torch.testing.assert_close(model(x, condition), expected)


def test_the_product_vanishes_with_any_function_that_is_told_nothing(device):
    model = built(device, bias=False)
    for layer in model.branches[0].network.layers:
        torch.nn.init.zeros_(layer.weight)
    assert not model(torch.randn(1, 2, 6, device=device)).any()


def test_parameters_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="condition of shape None given, expected 1"):
        built("cpu", condition_dim=1)(torch.zeros(1, 2, 6))
