"""Fields without their noise: what stands out stays, what noise alone fills goes."""

import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp import noisy_grid, solve
from pdesolve.gp.axis import axes_of
from pdesolve.gp.denoised import Denoised
from pdesolve.gp.known import Interpolant
from pdesolve.gp.manufactured import Manufactured, error

GRID = Grid((90, 96), 1.0, False)
AXES = axes_of(GRID)


def white(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(GRID.shape, generator=generator, dtype=torch.float64)


def waves(x, y):
    return torch.sin(150 * x + 1) * torch.cos(160 * y)


def denoised(noise=0.05):
    values = waves(*GRID.coordinates()) + noise * white()
    return Denoised(Interpolant("f", values, AXES), AXES, noise)


def test_waves_stay_and_noise_goes():
    x, y = torch.linspace(0.05, 0.95, 40).double(), torch.linspace(0.05, 0.95, 41).double()
    gap = denoised().at((0, 0), [x, y]) - waves(x[:, None], y)
    # At most 2 κ + 1 = 9 waves on each side of a line, of sine and cosine: 18² of 8640 numbers.
    kept = math.sqrt(18 * 18 / 8640)
    assert float(gap.square().mean().sqrt()) < 1.5 * kept * 0.05


def test_parts_that_only_noise_fills_are_left_out_of_other_noise_too():
    field = denoised()
    low = torch.sin(5 * GRID.axis(0))[:, None] * torch.cos(4 * GRID.axis(1))
    assert float(field.filtered(low).norm() / low.norm()) < 0.05
    own = waves(*GRID.coordinates())
    assert float((field.filtered(own) - own).norm() / own.norm()) < 0.05


def test_noise_of_low_frequency_does_not_reach_a_solution_that_has_none(monkeypatch):
    monkeypatch.setattr(noisy_grid, "_DENSE", 100)
    text = "sin(30*pi*x)*sin(30*pi*y)"
    given = Manufactured("u_xx + u_yy", text, [90, 96], axes="xy")
    source, noise = given.source(*given.grid.coordinates()), 177.0
    found = solve(
        given.residual, given.grid, source=source + noise * white(), boundary=given.boundary
    )
    # In the lowest mode alone it would make 2σ √(h_x h_y) / (2π²) = 0.2 of a u that is 1 at most.
    true = error(found.at, given.exact, given.grid)
    assert true < 2e-2
    assert found.std is not None
    assert float(found.std.norm() / found.value.norm()) == pytest.approx(true, rel=0.5)
