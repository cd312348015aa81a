import pytest
import torch
import torch.nn.functional as F

from pdesolve.layers import Pointwise, PointwiseNetwork
from pdesolve.ops.memory import is_channels_last, to_channels_last


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_point_is_multiplied_by_the_same_matrix(channels, shape, bias, device, generator):
    layer = Pointwise(channels, 2, bias=bias).to(device, torch.float64)
    x = torch.randn(2, channels, *shape, generator=generator, dtype=torch.float64).to(device)
    expected = torch.einsum("oi,bi...->bo...", layer.weight[..., 0], x)
    if bias:
        expected = expected + layer.bias.reshape(-1, *[1] * len(shape))
    for given in (x, to_channels_last(x)):
        y = layer(given)
        torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
        assert is_channels_last(y) == is_channels_last(given)


def test_a_network_is_two_maps_with_the_activation_between(device, generator):
    network = PointwiseNetwork(3, 5, 2, torch.tanh).to(device)
    x = torch.randn(1, 3, 4, 6, generator=generator).to(device)
    hidden = torch.tanh(F.conv2d(x, network.first.weight[..., None], network.first.bias))
    expected = F.conv2d(hidden, network.second.weight[..., None], network.second.bias)
    torch.testing.assert_close(network(x), expected)
    assert is_channels_last(network(to_channels_last(x)))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 4)])
def test_a_sum_with_the_output_is_the_same_and_keeps_the_format(shape, bias, device, generator):
    layer = Pointwise(3, 2, bias=bias).to(device, torch.float64)
    x = torch.randn(2, 3, *shape, generator=generator, dtype=torch.float64).to(device)
    other = torch.randn(2, 2, *shape, generator=generator, dtype=torch.float64).to(device)
    for given in ((other, x), (to_channels_last(other), to_channels_last(x))):
        y = layer.plus(*given)
        torch.testing.assert_close(y, other + layer(x), rtol=1e-12, atol=1e-12)
        assert is_channels_last(y) == is_channels_last(given[0])


def test_a_sum_with_a_wider_output_under_autocast_is_wide(device, generator):
    layer = Pointwise(3, 3, bias=False).to(device)
    x = to_channels_last(torch.randn(1, 3, 4, 5, generator=generator).to(device))
    with torch.autocast(device.type, dtype=torch.bfloat16):
        y = layer.plus(x, x)
        expected = x + layer(x)
    assert y.dtype == expected.dtype
    torch.testing.assert_close(y, expected)
