"""Draws around a solution on a grid: their spread is the error that noise makes."""

import pytest
import torch

from pdesolve.gp import solve
from pdesolve.gp.manufactured import Manufactured
from pdesolve.gp.sampling import samples
from pdesolve.gp.slabs import Slabs

GIVEN = Manufactured("u_xx + u_yy", "sin(9*x)*cos(7*y)", [36, 40], axes="xy")


PLACES = [torch.linspace(0.1, 0.9, 5).double(), torch.linspace(0.1, 0.9, 6).double()]


def noise_spread(noise, reaction):
    """Return what white noise of the source is in u: σ² h_x h_y in each mode, over its λ²."""
    n = torch.arange(1, 12).double()
    modes = [2 * torch.sin(torch.pi * n * p[:, None]) ** 2 for p in PLACES]
    eigenvalues = torch.pi**2 * (n[:, None] ** 2 + n**2) + reaction
    cell = GIVEN.grid.spacing[0] * GIVEN.grid.spacing[1]
    return (noise**2 * cell * torch.einsum("aj,bk,jk->ab", *modes, eigenvalues**-2)).sqrt()


def solution():
    return solve(GIVEN.residual, GIVEN.grid, source=GIVEN.source, boundary=GIVEN.boundary,
                 tolerance=1e-4)  # fmt: skip


def test_the_spread_of_samples_is_the_error_of_noisy_solves():
    found = solution()
    generator = torch.Generator().manual_seed(0)
    draws = samples(found.problem, found.expansion, 60, generator, noise=2.0)
    ratio = torch.stack([draw(PLACES) for draw in draws]).std(0) / noise_spread(2.0, 0.0)
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.2)


def test_without_noise_the_samples_keep_the_data_and_hardly_move():
    found = solution()
    (draw,) = samples(found.problem, found.expansion, 1, torch.Generator().manual_seed(0))
    x = [torch.linspace(0, 1, 9).double()] * 2
    assert float((draw(x) - found.at(x)).abs().max()) < 1e-5


def test_draws_of_a_nonlinear_problem_spread_like_its_linearisation():
    # Where u is nearly 2, -u³ is -12 times a change of it: λ becomes π²(j² + k²) + 12.
    given = Manufactured("u_xx + u_yy - u**3", "2 + 0.01*sin(9*x)*cos(7*y)", [36, 40], axes="xy")
    found = solve(given.residual, given.grid, source=given.source, boundary=given.boundary,
                  tolerance=1e-4)  # fmt: skip
    draws = samples(found.problem, found.expansion, 60, torch.Generator().manual_seed(0), noise=2.0)
    spread = torch.stack([draw(PLACES) for draw in draws]).std(0)
    assert float((spread / noise_spread(2.0, 12.0)).mean()) == pytest.approx(1.0, abs=0.1)
    # Without the term they would be wider by more than the tolerance.
    assert float((noise_spread(2.0, 0.0) / noise_spread(2.0, 12.0)).mean()) > 1.2


def test_bars_of_exact_data_are_what_the_residual_leaves_open():
    found = solution()
    assert found.std is None and found.posterior is None
    largest = float(found.problem.source(found.problem.nodes).abs().max())
    noise = float(found.stats["residual"]) * largest
    ratio = found.bars(PLACES, draws=60) / noise_spread(noise, 0.0)
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.3)


def test_three_axes_have_bars_too():
    given = Manufactured("u_xx + u_yy + u_zz", "sin(4*x)*cos(3*y)*sin(2*z)", [18, 19, 20],
                         axes="xyz")  # fmt: skip
    found = solve(given.residual, given.grid, source=given.source, boundary=given.boundary,
                  tolerance=1e-2)  # fmt: skip
    x = [torch.linspace(0.1, 0.9, n).double() for n in (3, 4, 5)]
    bars = found.bars(x, draws=5)
    assert bars.shape == (3, 4, 5) and 0 < float(bars.max()) < 1e-2


def test_slabs_of_time_have_no_bars():
    found = solution()
    slabs = Slabs([found.expansion], torch.zeros(1).double())
    with pytest.raises(
        ValueError, match="expansion is Slabs of OrthonormalBasis, expected one exp"
    ):
        samples(found.problem, slabs, 1, torch.Generator())
