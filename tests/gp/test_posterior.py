"""Posteriors against dense Gaussian conditioning, and intervals against draws from the prior."""

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp import dirichlet, solve
from pdesolve.gp.features import Features
from pdesolve.gp.manufactured import Manufactured, error
from pdesolve.gp.observations import condition
from pdesolve.gp.posterior import Rows, learned

GRID = Grid((24,), 1.0, False)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def test_mean_and_covariance_are_those_of_dense_conditioning():
    matrix, data, noise = normal(7, 5), normal(7, seed=1), torch.full((7,), 0.3).double()
    scale = torch.linspace(0.5, 2, 5).double()
    found = Rows(matrix, data, noise).posterior(lambda x, _: x[:, None] ** torch.arange(5), scale)
    precision = matrix.T @ matrix / 0.09 + torch.diag(scale**-2)
    covariance = torch.linalg.inv(precision)
    torch.testing.assert_close(found.mean, covariance @ matrix.T @ data / 0.09)
    torch.testing.assert_close(found.variances, covariance.diagonal())
    x = torch.tensor([0.3, 1.2]).double()
    powers = x[:, None] ** torch.arange(5)
    torch.testing.assert_close(found.std(x, 0), (powers @ covariance @ powers.T).diagonal().sqrt())


def test_the_evidence_is_the_density_of_the_data():
    matrix, noise = normal(6, 3), torch.full((6,), 0.4).double()
    scale, basis = torch.tensor([1.0, 0.2, 3.0]).double(), lambda x, _: x
    covariance = matrix * scale**2 @ matrix.T + torch.diag(noise**2)
    density = torch.distributions.MultivariateNormal(torch.zeros(6).double(), covariance)
    found = [
        Rows(matrix, y, noise).posterior(basis, scale).log_evidence - float(density.log_prob(y))
        for y in (normal(6, seed=2), normal(6, seed=3))
    ]
    # The constant that is left out is 6/2 ln 2π.
    assert found == pytest.approx([5.513631199228036] * 2)


def test_scales_and_noise_are_learned_from_enough_data():
    matrix, groups = normal(600, 80), torch.arange(80) // 40
    truth = torch.cat([3.0 * normal(40, seed=1), 0.05 * normal(40, seed=2)])
    data = matrix @ truth + 0.2 * normal(600, seed=3)
    rows = Rows(matrix, data, torch.full((600,), 1.0).double())
    found = learned(rows, lambda x, _: x, groups, [1.0, 1.0], noisy=600)
    assert found.scales == pytest.approx((3.0, 0.05), rel=0.35)
    assert found.noise == pytest.approx(0.2, rel=0.1)


def prior(spread=1.0):
    # More functions than nodes, so that exact data leave something open too.
    frequencies = torch.arange(40).double() / 2.17
    return Features(frequencies, 0.5, torch.exp(-((frequencies / 8) ** 2) / spread))


@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_ninety_percent_intervals_cover_ninety_percent_of_draws_from_the_prior(noise):
    basis = prior()
    nodes, x = GRID.axis(0), torch.linspace(0.013, 0.987, 11).double()
    covered = []
    for seed in range(200):
        c = normal(basis(nodes).shape[1], seed=seed)
        source = basis(nodes, 2) @ c + noise * normal(24, seed=1000 + seed)
        ends = [float(basis(torch.tensor([p]).double()) @ c) for p in (0.0, 1.0)]
        boundary = {(0, "low"): dirichlet(ends[0]), (0, "high"): dirichlet(ends[1])}
        # An interpolant of each source would cost more than the conditioning: rows are linear.
        found = condition(
            lambda d, u: d(u, (2,)), GRID, basis, boundary=boundary, noise=noise, values=source
        )
        inside = (found.value(x) - basis(x) @ c).abs() <= 1.6449 * found.std(x)
        covered.append(inside.double().mean())
    assert 0.85 <= float(torch.stack(covered).mean()) <= 0.95


def test_sensors_sharpen_what_the_equation_leaves_open():
    basis, x = prior(), torch.tensor([0.31]).double()
    given = {"source": 1.0, "boundary": 0.0, "noise": 50.0}
    without = condition(lambda d, u: d(u, (2,)), GRID, basis, **given)
    sensors = (x, torch.tensor([0.7]).double(), 1e-3)
    found = condition(lambda d, u: d(u, (2,)), GRID, basis, **given, sensors=sensors)
    assert float(without.std(x)) > 0.01
    assert float(found.std(x)) <= 1e-3
    assert float(found.value(x)) == pytest.approx(0.7, abs=3e-3)


def test_samples_have_the_mean_and_the_spread_of_the_posterior():
    found = condition(lambda d, u: d(u, (2,)), GRID, prior(), source=1.0, boundary=0.0, noise=50.0)
    x = torch.linspace(0.1, 0.9, 4).double()
    draws = found.samples(x, 4000, generator())
    torch.testing.assert_close(draws.std(0), found.std(x), rtol=0.05, atol=0)
    torch.testing.assert_close(draws.mean(0), found.value(x), rtol=0, atol=4e-2)


@pytest.mark.parametrize("level", [1e-8, 1e-4, 1e-2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_errors_stay_within_ten_times_the_noise_whose_level_is_found(level, seed):
    given = Manufactured("u_xx", "sin(6*x)*cos(100*x)", [400], "2*pi")
    source = given.source(*given.grid.coordinates())
    spread = level * float(source.abs().max())
    noisy = source + spread * normal(400, seed=seed)
    solution = solve(given.residual, given.grid, source=noisy, boundary=given.boundary)
    assert bool(solution.converged) and "noise of standard deviation" in solution.message
    assert float(solution.stats["noise"]) == pytest.approx(spread, rel=0.2)
    assert error(solution.at, given.exact, given.grid) <= 10 * level


def test_the_bars_of_exact_data_hold_the_error():
    given = Manufactured("u_xx - u**3", "sin(9*x)", [120])
    solution = solve(given.residual, given.grid, source=given.source, boundary=given.boundary)
    gap = (solution.value[0] - given.exact(GRID.resized((120,)).axis(0))).abs()
    assert solution.std is not None and solution.std.shape == solution.value.shape
    assert float((gap <= 3 * solution.std[0] + 1e-14).double().mean()) > 0.9
    assert float(solution.std.max()) < 1e-9
