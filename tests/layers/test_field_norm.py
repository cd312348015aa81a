import pytest
import torch
from torch import nn

from pdesolve.layers.field_norm import FieldNorm


@pytest.mark.parametrize("shape", [(6,), (5, 8), (3, 4, 5)])
@pytest.mark.parametrize("kind", ["layer", "plain", "pixelwise"])
def test_a_new_norm_gives_mean_zero_and_variance_one(kind, shape, device):
    norm = FieldNorm(3, kind, shape).to(device, torch.float64)
    y = norm(3 + 100 * torch.randn(2, 3, *shape, dtype=torch.float64, device=device)).flatten(1)
    torch.testing.assert_close(y.mean(1), torch.zeros_like(y[:, 0]), rtol=0, atol=1e-12)
    # The variance is 1 but for ε over that of the field.
    torch.testing.assert_close(y.var(1, correction=0), torch.ones_like(y[:, 0]), rtol=1e-8, atol=0)


def test_pixelwise_scale_and_shift_are_those_of_torch(device):
    official = nn.LayerNorm([3, 5, 4]).to(device, torch.float64)
    ours = FieldNorm(3, "pixelwise", (5, 4)).to(device, torch.float64)
    for name in ("weight", "bias"):
        value = torch.randn(3, 5, 4, dtype=torch.float64, device=device)
        getattr(official, name).data.copy_(value)
        getattr(ours, name).data.copy_(value.movedim(0, -1))
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, device=device)
    torch.testing.assert_close(ours(x), official(x), rtol=1e-12, atol=1e-12)


def test_layer_scales_and_shifts_each_channel():
    norm = FieldNorm(2, "layer")
    norm.weight.data, norm.bias.data = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0])
    x = torch.randn(1, 2, 6, 5)
    plain = FieldNorm(2, "plain")(x)
    torch.testing.assert_close(norm(x)[:, 1], 5 + 2 * plain[:, 1])


def test_none_is_the_identity():
    x = torch.randn(1, 2, 6)
    assert FieldNorm(2, None)(x) is x


def test_a_pixelwise_norm_refuses_another_grid_than_its_own():
    with pytest.raises(ValueError, match=r"x has grid \(6, 6\), expected \(6, 5\)"):
        FieldNorm(2, "pixelwise", (6, 5))(torch.ones(1, 2, 6, 6))


def test_a_pixelwise_norm_needs_a_grid():
    with pytest.raises(ValueError, match="without a grid"):
        FieldNorm(2, "pixelwise")
