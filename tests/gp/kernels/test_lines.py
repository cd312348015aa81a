import math

import pytest
import torch

from pdesolve.gp.kernels.lines import Lines, gaussian_lines


@pytest.mark.parametrize("lengthscale", [0.01, 0.3, 5.0])
def test_lines_of_a_gaussian_are_exact_on_the_interval(lengthscale):
    lines = gaussian_lines(torch.tensor(lengthscale, dtype=torch.float64), 2.0)
    z = torch.linspace(-2, 2, 41, dtype=torch.float64)
    found = torch.cos(2 * math.pi * z[:, None] * lines.frequencies) @ lines.weights
    expected = torch.exp(-(z**2) / (2 * lengthscale**2))
    # Phases 2πsz of up to 1e3 radians carry rounding of 1e-13.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_product_of_lines_is_the_spectrum_of_the_product():
    first = Lines(
        torch.tensor([0.0, 1.3], dtype=torch.float64), torch.tensor([0.4, 0.7], dtype=torch.float64)
    )
    second = Lines(
        torch.tensor([2.1], dtype=torch.float64), torch.tensor([0.9], dtype=torch.float64)
    )
    z = torch.linspace(0, 1, 7, dtype=torch.float64)

    def value(lines):
        return torch.cos(2 * math.pi * z[:, None] * lines.frequencies) @ lines.weights

    torch.testing.assert_close(value(first * second), value(first) * value(second))
    torch.testing.assert_close(value(first + second), value(first) + value(second))


def test_frequency_zero_has_one_feature():
    lines = Lines(
        torch.tensor([0.0, 1.0], dtype=torch.float64), torch.tensor([4.0, 1.0], dtype=torch.float64)
    )
    features = lines.features(torch.linspace(0, 1, 5).double(), 0, middle=0.5)
    assert features.shape == (5, 3)
    assert bool((features[:, 0] == 2.0).all())


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_derivatives_of_features_are_those_of_waves(order):
    lines = Lines(
        torch.tensor([0.7], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float64)
    )
    x = torch.linspace(0, 1, 6, dtype=torch.float64)
    omega = 2 * math.pi * 0.7
    phase = omega * (x - 0.5) + order * math.pi / 2
    expected = omega**order * torch.stack([torch.cos(phase), torch.sin(phase)], 1)
    found = lines.features(x, order, middle=0.5)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14 * omega**order)
