import pytest
import torch

from pdesolve.layers.dense import ConvolutionalNetwork, DenseNetwork, StackedNetworks


def test_a_dense_network_is_affine_maps_with_activations_between(device):
    network = DenseNetwork((3, 4, 2), torch.tanh, last_activation=torch.sin).to(device)
    v = torch.randn(2, 5, 3, device=device)
    first, second = network.layers
    expected = torch.sin(
        torch.tanh(v @ first.weight.T + first.bias) @ second.weight.T + second.bias
    )
    torch.testing.assert_close(network(v), expected)


def test_weights_start_glorot_normal_and_biases_at_zero():
    torch.manual_seed(0)
    layer = DenseNetwork((300, 500), torch.tanh).layers[0]
    # The deviation of 150 000 normal numbers is known to 0.2 %.
    assert layer.weight.std().item() == pytest.approx((2 / 800) ** 0.5, rel=0.01)
    assert not layer.bias.any()


def test_skips_add_the_layer_two_before(device):
    network = DenseNetwork((2, 3, 4, 5, 6, 1), torch.tanh, skips=True).to(device)
    v = torch.randn(7, 2, device=device)
    layers, projections = network.layers, network.projections
    one = torch.tanh(layers[0](v))
    two = torch.tanh(layers[1](one))
    three = torch.tanh(layers[2](two)) + projections[0](one)
    four = torch.tanh(layers[3](three)) + projections[1](two)
    torch.testing.assert_close(network(v), layers[4](four))
    assert len(projections) == 2


def test_batch_norm_counts_every_axis_but_the_last_as_samples(device):
    network = DenseNetwork((2, 3, 1), torch.relu, norm="batch").to(device)
    network(torch.randn(4, 5, 2, device=device))
    normed = network.norms[0](network.layers[0](torch.randn(20, 2, device=device)))
    torch.testing.assert_close(normed.mean(0), torch.zeros(3, device=device), atol=1e-5, rtol=0)


def test_each_layer_may_drop_its_own_share():
    network = DenseNetwork((2, 3, 3, 1), torch.relu, dropout=(0.1, 0.0))
    assert [layer.p for layer in network.dropouts] == [0.1, 0.0]
    with pytest.raises(ValueError, match="dropout has 1 shares for 2 hidden layers"):
        DenseNetwork((2, 3, 3, 1), torch.relu, dropout=(0.1,))


def test_stacked_networks_equal_as_many_dense_ones(device):
    stacked = StackedNetworks(3, (2, 4, 5), torch.tanh).to(device, torch.float64)
    for bias in stacked.biases:
        torch.nn.init.normal_(bias)
    v = torch.randn(6, 2, device=device, dtype=torch.float64)
    for k in range(3):
        u = v
        for i, (weight, bias) in enumerate(zip(stacked.weights, stacked.biases, strict=True)):
            u = u @ weight[k] + bias[k]
            u = u if i == 2 else torch.tanh(u)
        torch.testing.assert_close(stacked(v)[:, k], u[:, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(9,), (8, 5), (4, 6, 5)])
def test_convolutions_halve_the_grid(shape, device):
    network = ConvolutionalNetwork(
        2, shape, (3, 4), kernel_size=3, activation=torch.relu
    ).to(device)  # fmt: skip
    y = network(torch.randn(2, 2, *shape, device=device))
    assert y.shape == (2, network.features)
    x = torch.randn(1, 2, *shape, device=device)
    u = torch.relu(network.layers[0](x))
    corner = u[(0, slice(None), *[slice(0, 2)] * len(shape))].flatten(1).mean(1)
    torch.testing.assert_close(network.pool(u)[(0, slice(None), *[0] * len(shape))], corner)
