import math

import pytest
import torch

from pdesolve.gp.kernels import Comb, FrequencyWarning, Periodic, band_limited


def test_a_band_is_the_sinc_kernel_inside_its_interval():
    """Trapezoid teeth closer than half a bin: the comb's period lies outside the interval."""
    length, low, high = 2.0, 3.0, 9.0
    kernel = band_limited([(low, high)], length, gamma=40.3)
    z = torch.linspace(-2, 2, 31, dtype=torch.float64)
    centre, width = (low + high) / 2, high - low
    expected = torch.sinc(width * z) * torch.cos(2 * math.pi * centre * z)
    # The band's edges are rounded to a tooth.
    torch.testing.assert_close(kernel.derivs(z, 0)[0].detach(), expected, rtol=0, atol=0.02)


def test_teeth_are_multiples_of_one_spacing_shared_by_overlapping_bands():
    kernel = band_limited([(0.0, 2.0), (1.0, 3.0)], 2.0, gamma=2.17)
    teeth = kernel.frequencies.detach() * 2.17 * 2.0
    torch.testing.assert_close(teeth, torch.arange(15, dtype=torch.float64))


@pytest.mark.parametrize("bands", [[], [(2.0, 1.0)], [(-1.0, 1.0)]])
def test_bands_that_are_none_are_refused(bands):
    with pytest.raises(ValueError, match=r"bands are .* expected at least one"):
        band_limited(bands, 1.0)


def test_frequencies_above_the_grid_are_lowered_with_a_warning():
    with pytest.warns(FrequencyWarning, match=r"reach 12 on a grid of Nyquist frequency 10;"):
        kernel = Comb([-12.0, 1.0], nyquist=10.0)
    assert kernel.frequencies.tolist() == [-9.0, 1.0]


def test_bands_above_the_grid_are_cut_with_a_warning():
    with pytest.warns(FrequencyWarning, match="lowered to 9"):
        kernel = band_limited([(8.0, 12.0), (20.0, 21.0)], 1.0, nyquist=10.0)
    teeth = kernel.frequencies.tolist()
    assert min(teeth) >= 8.0 - 1 / 2.17 and max(teeth) <= 9.0 + 1 / 2.17


def test_a_learning_step_does_not_pass_the_nyquist_limit():
    kernel = Comb([8.9], nyquist=10.0)
    with torch.no_grad():
        kernel.raw_frequencies += 3.0
    assert kernel.frequencies.tolist() == [9.0]


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"weights have shape \(1,\) and frequencies \(2,\)"):
        Comb([1.0, 2.0], [1.0])


@pytest.mark.parametrize("lengthscale", [0.05, 0.7, 6.0])
def test_lines_of_a_periodic_kernel_sum_to_it(lengthscale):
    kernel = Periodic(0.7, lengthscale)
    lines = kernel.lines(3.0)
    z = torch.linspace(-3, 3, 50, dtype=torch.float64)
    found = torch.cos(2 * math.pi * z[:, None] * lines.frequencies) @ lines.weights
    expected = torch.exp(-2 * (torch.sin(math.pi * z / 0.7) / lengthscale) ** 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
