import math
from dataclasses import replace

import pytest
import torch

from pdesolve.batch import Batch
from pdesolve.evaluation.spectra import (
    cutoff,
    energy_spectrum,
    mean_spectra,
    mode_energy,
    wavenumbers,
)
from pdesolve.grid import Grid
from pdesolve.ops import fourier

GRIDS = [
    Grid((8,), 2.0, True),
    Grid((9, 15), (1.0, 3.0), True),
    Grid((7, 10), (1.0, 2.0), False),
    Grid((6, 9), (1.0, 2.0), False, "cell"),
    Grid((5, 8, 6), (1.0, 2.0, 0.5), (True, False, True)),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: str(grid.shape))
def test_modes_and_shells_sum_to_half_the_mean_square(grid, dtype, generator, device):
    u = torch.randn(3, 2, *grid.shape, generator=generator, dtype=dtype).to(device)
    expected = u.square().sum(1).flatten(1).mean(1) / 2
    rtol = 1e-12 if dtype == torch.float64 else 1e-5
    _, shells = energy_spectrum(u, grid)
    torch.testing.assert_close(mode_energy(u, grid).flatten(1).sum(1), expected, rtol=rtol, atol=0)
    torch.testing.assert_close(shells.sum(1), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize("n", [12, 15])
def test_periodic_mode_lies_in_its_shell(n):
    grid = Grid((n, n + 3), 3.0, True)
    x, y = grid.coordinates()
    kappa = 2 * math.pi / 3.0
    u = torch.cos(3 * kappa * x) * torch.sin(4 * kappa * y)
    wavenumber, energy = energy_spectrum(u[None, None], grid)
    assert wavenumber[5].item() == pytest.approx(5 * kappa)
    expected = torch.zeros_like(energy)
    expected[0, 5] = 1 / 8
    torch.testing.assert_close(energy, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("n", [8, 11])
def test_cosine_on_cell_centres_is_one_mode(n):
    grid = Grid((n,), 2.0, False, "cell")
    kappa = 3 * math.pi / 2.0
    u = 5 * torch.cos(kappa * grid.axis(0))
    energy = mode_energy(u[None, None], grid)
    assert wavenumbers(grid)[0, 3].item() == pytest.approx(kappa)
    expected = torch.zeros_like(energy)
    expected[0, 3] = 25 / 4
    torch.testing.assert_close(energy, expected, rtol=1e-12, atol=1e-14)


def test_field_that_is_not_periodic_has_no_false_high_wavenumbers():
    grid = Grid((64,), 1.0, False)
    ramp = grid.axis(0)[None, None]
    periodic = Grid((64,), 1.0, True)
    upper = slice(32, None)
    by_cosines = energy_spectrum(ramp, grid)[1][0, upper].sum()
    by_waves = energy_spectrum(ramp, periodic)[1][0, upper.start // 2 :].sum()
    assert by_cosines < 1e-3 * by_waves


def test_cutoff_is_that_of_the_coarsest_axis():
    assert cutoff(Grid((16, 8), 1.0, True)) == pytest.approx(8 * math.pi)


@pytest.mark.parametrize("shape", [(9,), (8, 12), (7, 10)])
def test_periodic_spectrum_is_the_one_by_real_transforms(shape, generator):
    grid = Grid(shape, [1.0, 2.0][: len(shape)], True)
    u = torch.randn(2, 1, *shape, generator=generator, dtype=torch.float64)
    wavenumber, energy = energy_spectrum(u, grid)
    expected_wavenumber, expected = fourier.energy_spectrum(u[:, 0], grid.lengths)
    torch.testing.assert_close(wavenumber, expected_wavenumber)
    torch.testing.assert_close(energy, expected, rtol=1e-12, atol=1e-15)


class Pair:
    """Two samples, a wave of number 1 and one of number 2, of amplitude 2."""

    grid = Grid((9,), 1.0, True)

    def __len__(self):
        return 2

    def batch(self, indices):
        x = self.grid.axis(0)
        waves = torch.stack([2 * torch.cos(2 * math.pi * k * x) for k in (1, 2)])[:, None]
        y = waves[list(indices)]
        return Batch(y, y, self.grid)


def test_mean_spectra_weigh_samples_equally():
    spectra = mean_spectra(lambda x: 1.5 * x, Pair(), batch_size=1)
    expected = torch.tensor([0.0, 0.5, 0.5, 0.0, 0.0]).double()
    torch.testing.assert_close(spectra.truth, expected)
    torch.testing.assert_close(spectra.prediction, 2.25 * expected)
    torch.testing.assert_close(spectra.error, 0.25 * expected)


def test_mean_spectra_do_not_see_what_is_masked_out():
    class Masked(Pair):
        def batch(self, indices):
            batch = super().batch(indices)
            return replace(batch, mask=torch.zeros_like(batch.y))

    assert mean_spectra(lambda x: x * math.nan, Masked()).error.sum() == 0
