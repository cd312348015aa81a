import pytest
import torch
from torch import nn

from pdesolve.layers.exact_loading import load_exactly


def test_all_weights_are_loaded():
    module, other = nn.Linear(2, 3), nn.Linear(2, 3)
    load_exactly(module, other.state_dict())
    assert torch.equal(module.weight, other.weight)


@pytest.mark.parametrize(
    "weights",
    [
        {"weight": torch.ones(3, 2)},
        {"weight": torch.ones(3, 2), "bias": torch.ones(3), "scale": torch.ones(3)},
        {"weight": torch.ones(3, 2), "bias": torch.ones(2)},
    ],
)
def test_missing_superfluous_and_misshapen_weights_are_refused(weights):
    module = nn.Linear(2, 3)
    before = module.weight.clone()
    with pytest.raises(ValueError, match=r"does not fit .* 1 weights in all"):
        load_exactly(module, weights)
    assert torch.equal(module.weight, before)
