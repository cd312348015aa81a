"""Media against their formula."""

import math

import torch

from pdesolve import Grid
from pdesolve.ops.random_media import trigonometric_medium


def test_trigonometric_media_are_products_of_waves_of_six_scales():
    fine = Grid((65, 65), (1.0, 2.0), False)
    a = trigonometric_medium(fine, torch.Generator().manual_seed(0))
    # All cosines are 1 and all sines 0 at the corner.
    assert math.isclose(float(a[0, 0]), 1.5**6)
    assert float(a.min()) >= 0.25**6 and float(a.max()) <= 1.5**12
    drawn = torch.rand(6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    frequencies = math.pi * (1 + drawn / 2) * 2 ** torch.arange(6)
    x, y = 16 / 64, 48 / 64
    waves = (1 + torch.cos(frequencies * (x + y)) / 2) * (
        1 + torch.sin(frequencies * (y - 3 * x)) / 2
    )
    torch.testing.assert_close(a[16, 48], waves.prod())


def test_a_seed_is_the_same_medium_on_every_grid():
    fine = Grid((65, 65), (1.0, 2.0), False)
    a, coarse = (
        trigonometric_medium(grid, torch.Generator().manual_seed(3))
        for grid in (fine, fine.strided(8))
    )
    assert torch.equal(a[::8, ::8], coarse)
