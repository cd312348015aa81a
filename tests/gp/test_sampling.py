"""Draws around a solution on a grid: their spread is the error that noise makes."""

import pytest
import torch

from pdesolve.gp import solve
from pdesolve.gp.manufactured import Manufactured
from pdesolve.gp.sampling import samples

GIVEN = Manufactured("u_xx + u_yy", "sin(9*x)*cos(7*y)", [36, 40], axes="xy")


def solution():
    return solve(GIVEN.residual, GIVEN.grid, source=GIVEN.source, boundary=GIVEN.boundary,
                 tolerance=1e-4)  # fmt: skip


def test_the_spread_of_samples_is_the_error_of_noisy_solves():
    found = solution()
    generator = torch.Generator().manual_seed(0)
    draws = samples(found.problem, found.expansion, 60, generator, noise=2.0)
    x = [torch.linspace(0.1, 0.9, 5).double(), torch.linspace(0.1, 0.9, 6).double()]
    spread = torch.stack([draw(x) for draw in draws]).std(0)
    # White noise σ is σ² h_x h_y in each mode; it is divided by the eigenvalue π²(j² + k²).
    j, k = torch.arange(1, 12).double(), torch.arange(1, 12).double()
    modes = [2 * torch.sin(torch.pi * n * p[:, None]) ** 2 for n, p in ((j, x[0]), (k, x[1]))]
    eigenvalues = torch.pi**2 * (j[:, None] ** 2 + k**2)
    cell = GIVEN.grid.spacing[0] * GIVEN.grid.spacing[1]
    variance = 4.0 * cell * torch.einsum("aj,bk,jk->ab", *modes, eigenvalues**-2)
    ratio = spread / variance.sqrt()
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.2)


def test_without_noise_the_samples_keep_the_data_and_hardly_move():
    found = solution()
    (draw,) = samples(found.problem, found.expansion, 1, torch.Generator().manual_seed(0))
    x = [torch.linspace(0, 1, 9).double()] * 2
    assert float((draw(x) - found.at(x)).abs().max()) < 1e-5


def test_a_nonlinear_problem_is_refused():
    given = Manufactured("u_xx + u_yy - u**3", "sin(9*x)*cos(7*y)", [36, 40], axes="xy")
    found = solve(given.residual, given.grid, source=given.source, boundary=given.boundary,
                  tolerance=1e-4)  # fmt: skip
    with pytest.raises(ValueError, match="not linear, expected"):
        samples(found.problem, found.expansion, 1, torch.Generator())
