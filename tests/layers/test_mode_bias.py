import pytest
import torch

from pdesolve.layers import SpectralConv


@pytest.mark.parametrize("transform", ["fft", "matmul"])
@pytest.mark.parametrize("shape", [(8, 9), (9, 12), (3, 4)])
def test_mode_bias_is_a_wave_on_every_grid(shape, transform, device):
    layer = SpectralConv(1, 2, (4, 6), bias=False, mode_bias=0.1).double().to(device)
    layer.transform = transform
    with torch.no_grad():
        layer.weight.dense.zero_()
        # Mode (-1, 1), stored behind 0 and 1, of the second channel.
        layer.mode_bias.pairs[2, 1, 1] = torch.tensor([5.0, -5.0])
    y = layer(torch.ones(3, 1, *shape, dtype=torch.float64, device=device))
    phase = 2 * torch.pi * (torch.arange(shape[1]) / shape[1])
    phase = phase - 2 * torch.pi * (torch.arange(shape[0]) / shape[0])[:, None]
    wave = (torch.cos(phase) + torch.sin(phase)).to(y)
    torch.testing.assert_close(y[:, 0], torch.zeros_like(y[:, 0]))
    torch.testing.assert_close(y[:, 1], wave.expand(3, *shape), rtol=0, atol=1e-6)


def test_mode_bias_starts_at_zero_and_is_known_as_complex():
    layer = SpectralConv(1, 1, (4, 4), mode_bias=1.0)
    assert layer.mode_bias.pairs.shape == (4, 3, 1, 2)
    assert not layer.mode_bias.pairs.any()
    assert layer.mode_bias.complex_pairs == ("pairs",)


def test_neuraloperator_has_no_place_for_a_mode_bias():
    with pytest.raises(ValueError, match=r"mode_bias is 0\.5, expected None"):
        SpectralConv(1, 1, (4, 4), mode_bias=0.5).to_neuraloperator()
