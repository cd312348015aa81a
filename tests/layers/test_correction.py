import pytest
import torch
from torch import nn

from pdesolve.layers import SpectralConv
from pdesolve.layers.correction import SpectralCorrection, corrected, last_spectral, window


@pytest.mark.parametrize("shape", [(7, 6), (8, 5, 4), (6, 9)])
def test_fresh_correction_is_zero(shape, device, generator):
    x = torch.randn(2, 3, *shape, generator=generator).to(device)
    layer = SpectralCorrection(3, 2, shape, (11, *shape[1:])).to(device)
    assert torch.equal(layer(x), torch.zeros(2, 2, 11, *shape[1:], device=device))


@pytest.mark.parametrize(("steps", "kept"), [(9, 4), (10, 10), (8, 1)])
def test_stored_correction_comes_back(steps, kept, device, generator):
    correction = torch.randn(1, kept, 6, 5, dtype=torch.float64, generator=generator).to(device)
    layer = SpectralCorrection(1, 1, (4, 6, 5), (steps, 6, 5)).double().to(device)
    x = torch.randn(2, 1, 4, 6, 5, dtype=torch.float64, generator=generator).to(device)
    found = layer.store(correction)(x)
    torch.testing.assert_close(found[1, :, -kept:], correction, rtol=0, atol=1e-14)
    assert found[:, :, :-kept].abs().amax() < 1e-14 if kept < steps else True


def test_weights_act_mode_by_mode(generator):
    x = torch.randn(1, 1, 6, 8, dtype=torch.float64, generator=generator)
    layer = SpectralCorrection(1, 1, (6, 8)).double()
    with torch.no_grad():
        layer.weight[..., 0] = 2.0
    torch.testing.assert_close(layer(x), 2 * x, rtol=0, atol=1e-14)


def test_few_time_modes_leave_out_fast_changes(generator):
    layer = SpectralCorrection(1, 1, (8, 5), time_modes=2).double()
    with torch.no_grad():
        layer.bias.copy_(torch.randn(layer.bias.shape, dtype=torch.float64, generator=generator))
    found = torch.fft.rfft(layer(torch.zeros(1, 1, 8, 5, dtype=torch.float64)), dim=2)
    assert found[:, :, 2:].abs().max() < 1e-13
    with pytest.raises(ValueError, match="without time_modes"):
        layer.store(torch.zeros(1, 3, 5))


def test_correction_of_a_wrong_size_is_refused():
    with pytest.raises(ValueError, match="n <= 8 steps"):
        SpectralCorrection(1, 1, (8, 5)).store(torch.zeros(1, 9, 5))
    with pytest.raises(ValueError, match="same points"):
        SpectralCorrection(1, 1, (8, 5), (8, 6))


def test_window_shows_zeros_the_known_state_and_the_prediction():
    found = window(torch.ones(1, 1, 2), torch.full((1, 1, 3, 2), 5.0))
    assert found[0, 0, :, 0].tolist() == [0, 0, 0, 0, 1, 5, 5, 5]


def test_last_spectral_layer_is_found_and_corrected_for_a_while(generator):
    model = nn.Sequential(SpectralConv(1, 2, (4, 4)), nn.GELU(), SpectralConv(2, 1, (4, 4)))
    assert last_spectral(model) is model[2]
    x = torch.randn(1, 1, 6, 6, generator=generator)
    correction = SpectralCorrection(2, 1, (6, 6))
    with torch.no_grad():
        correction.bias[0, 0, 0, 0] = 3.0
        with corrected(model[2], correction):
            inside = model(x)
        torch.testing.assert_close(inside, model(x) + 3)


def test_model_without_spectral_layers_is_refused():
    with pytest.raises(ValueError, match='parameters="layer"'):
        last_spectral(nn.Linear(2, 2))
