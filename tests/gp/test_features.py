"""Features, combs and bands against formulas."""

import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp.axis import axes_of
from pdesolve.gp.features import Features, comb, merged


@pytest.mark.parametrize("order", range(6))
def test_derivatives_of_features_are_exact(order):
    frequencies = torch.tensor([0.0, 0.7, 2.0], dtype=torch.float64)
    x = torch.linspace(0, 3, 7, dtype=torch.float64)
    found = Features(frequencies, 1.5)(x, order)
    turns, y = 2 * math.pi * frequencies, x[:, None] - 1.5
    cosines = turns**order * torch.cos(turns * y + order * math.pi / 2)
    sines = (turns**order * torch.sin(turns * y + order * math.pi / 2))[:, 1:]
    torch.testing.assert_close(
        found, torch.cat([cosines, sines], 1), rtol=1e-12, atol=1e-12 * float(turns.max()) ** order
    )


def test_features_have_the_kernel_of_their_comb():
    frequencies = torch.tensor([0.3, 1.1], dtype=torch.float64)
    weights = torch.tensor([0.5, 2.0], dtype=torch.float64)
    x = torch.linspace(0, 2, 5, dtype=torch.float64)
    values = Features(frequencies, 1.0, weights)(x)
    distance = x[:, None] - x
    kernel = sum(w**2 * torch.cos(2 * math.pi * s * distance)
                 for s, w in zip(frequencies, weights, strict=True))  # fmt: skip
    torch.testing.assert_close(values @ values.T, kernel)


def test_a_comb_covers_its_bands_and_overlaps_share_teeth():
    step = 1 / (2.17 * 3.0)
    bands = ((0.0, 1.0), (0.9, 2.0), (5.0, 5.5))
    teeth = comb(bands, step)
    assert torch.equal(teeth, teeth.unique())
    for low, high in bands:
        assert bool((teeth <= low + 1e-12).any()) and bool((teeth >= high - 1e-12).any())
    assert float((teeth / step - (teeth / step).round()).abs().max()) < 1e-12
    assert merged(bands) == ((0.0, 2.0), (5.0, 5.5))


@pytest.mark.parametrize("points", [9, 10])
def test_a_periodic_axis_has_the_modes_of_its_period_below_nyquist(points):
    (axis,) = axes_of(Grid((points,), 2.0, True))
    frequencies = axis.features(((0.0, axis.nyquist),)).frequencies
    assert axis.nyquist == pytest.approx(points / 4)
    torch.testing.assert_close(
        frequencies, torch.arange((points + 1) // 2) / 2.0 + 0.0 * frequencies
    )


def test_nyquist_of_nodes_with_both_ends():
    (axis,) = axes_of(Grid((101,), 2.0, False))
    assert axis.nyquist == pytest.approx(25.0)
    assert len(axis.midpoints) == 100


def test_a_grid_with_few_points_is_refused():
    with pytest.raises(ValueError, match="at least 8 an axis: refine"):
        axes_of(Grid((20, 7), 1.0, False))
