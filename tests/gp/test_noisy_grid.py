"""Noisy sources on grids: the level is found, errors stay below it, bars cover."""

import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp import noisy_grid, solve
from pdesolve.gp.features import Features
from pdesolve.gp.grid_posterior import GridPosterior
from pdesolve.gp.manufactured import Manufactured, error


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def noisy(given, level, seed=0):
    source = given.source(*given.grid.coordinates())
    spread = level * float(source.abs().max())
    return source + spread * normal(*source.shape, seed=seed), spread


def solved(given, source, **options):
    return solve(given.residual, given.grid, source=source, boundary=given.boundary, **options)


@pytest.mark.parametrize(
    "level", [*(pytest.param(x, marks=pytest.mark.slow) for x in (1e-8, 1e-4)), 1e-2]
)
def test_level_is_found_and_the_error_is_no_larger(level):
    given = Manufactured("u_xx + u_yy", "sin(9*x)*cos(7*y)", [60, 64], axes="xy")
    source, spread = noisy(given, level)
    solution = solved(given, source)
    assert bool(solution.converged) and "noise of standard deviation" in solution.message
    assert float(solution.stats["noise"]) == pytest.approx(spread, rel=0.1)
    assert error(solution.at, given.exact, given.grid) <= level
    assert isinstance(solution.posterior, GridPosterior)
    assert solution.std is not None and solution.std.shape == solution.value.shape


def test_a_nonlinear_equation_with_noise():
    given = Manufactured("u_xx + u_yy - u**3", "sin(5*x)*cos(4*y)", [32, 30], axes="xy")
    source, spread = noisy(given, 1e-2)
    solution = solved(given, source, noise=spread)
    assert bool(solution.converged)
    assert error(solution.at, given.exact, given.grid) <= 5e-3
    gap = (solution.value[0] - given.exact(*given.grid.coordinates())).abs()
    assert solution.std is not None
    assert float((gap <= 3 * solution.std[0]).double().mean()) > 0.9


def test_a_nonlinear_equation_of_one_axis_with_noise():
    given = Manufactured("u_xx - u**3", "sin(20*x)", [100])
    source, spread = noisy(given, 1e-2)
    solution = solved(given, source)
    assert bool(solution.converged)
    assert float(solution.stats["noise"]) == pytest.approx(spread, rel=0.25)
    assert error(solution.at, given.exact, given.grid) <= 5e-2


@pytest.mark.parametrize("truths", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_intervals_cover_truths_though_noise_and_scale_are_found(truths):
    # The solver knows neither the level nor the scale of the prior that the truths come from.
    basis = Features(torch.arange(8).double() / 2.17, 0.5)
    grid, covered = Grid((40, 44), 1.0, False), []
    x = [torch.linspace(0.05, 0.95, 7).double(), torch.linspace(0.07, 0.93, 6).double()]
    for seed in range(truths):
        core = 3 * normal(15, 15, seed=seed)

        def u(x, y, orders=(0, 0), core=core):
            return basis(x.flatten(), orders[0]) @ core @ basis(y.flatten(), orders[1]).T

        nodes = grid.axis(0), grid.axis(1)
        source = u(*nodes, (2, 0)) + u(*nodes, (0, 2))
        source = source + 1e-2 * float(source.abs().max()) * normal(40, 44, seed=500 + seed)
        found = solve(
            lambda d, u: d(u, (2, 0)) + d(u, (0, 2)), grid, source=source, boundary=u
        )  # fmt: skip
        inside = (found.at(x) - u(*x)).abs() <= 1.6449 * found.bars(x)
        covered.append(inside.double().mean())
    allowed = 3 * math.sqrt(0.9 * 0.1 / truths)
    assert float(torch.stack(covered).mean()) == pytest.approx(0.9, abs=allowed)


def test_bands_with_too_many_products_are_solved_with_bars_by_draws(monkeypatch):
    monkeypatch.setattr(noisy_grid, "_DENSE", 100)
    given = Manufactured("u_xx + u_yy", "sin(9*x)*cos(7*y)", [50, 54], axes="xy")
    source, spread = noisy(given, 1e-2)
    solution = solved(given, source)
    assert bool(solution.converged) and solution.posterior is None
    assert float(solution.stats["noise"]) == pytest.approx(spread, rel=0.1)
    assert solution.std is not None
    gap = (solution.value - given.exact(*given.grid.coordinates())).abs()
    assert float((gap <= 2 * solution.std).double().mean()) > 0.8


def test_what_is_not_stored_has_no_noise():
    given = Manufactured("u_xx + u_yy", "sin(9*x)*cos(7*y)", [40, 40], axes="xy")
    with pytest.raises(ValueError, match=r"noise is 0.1 with a source that is a function, exp"):
        solved(given, given.source, noise=0.1)
