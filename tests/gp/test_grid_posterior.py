"""Posteriors on grids against dense conditioning, and intervals against draws from the prior."""

import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp.features import Features
from pdesolve.gp.grid_posterior import GridPosterior
from pdesolve.gp.observations import condition
from pdesolve.gp.product_basis import ProductBasis

GRID = Grid((9, 8), 1.0, False)
X = [torch.linspace(0.05, 0.95, 5).double(), torch.linspace(0.07, 0.93, 4).double()]


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def laplace(d, u):
    return d(u, (2, 0)) + d(u, (0, 2))


def prior(count=8):
    # More functions than nodes, so that exact data leave something open too.
    frequencies = torch.arange(count).double() / 2.17
    return Features(frequencies, 0.5, torch.exp(-((frequencies / 1.5) ** 2)))


def rows(basis, points):
    return basis(points, (2, 0)) + basis(points, (0, 2))


def test_mean_and_bars_are_those_of_dense_conditioning():
    bases = [prior(3), prior(4)]
    basis, nodes = ProductBasis(bases), [GRID.axis(0), GRID.axis(1)]
    values, place = normal(9, 8), torch.tensor([[0.3, 0.6]]).double()
    sensors = (place, torch.tensor([0.4]).double(), 0.1)
    found = condition(
        laplace, GRID, bases, boundary=0.5, noise=2.0, values=values, sensors=sensors, scale=0.7
    )
    # The boundary is exact to rounding; 1e-5 is that for a Cholesky factorisation of covariances.
    edges = torch.cat([basis([x.double(), y.double()]) for x, y in (
        (nodes[0][:1], nodes[1]), (nodes[0][-1:], nodes[1]),
        (nodes[0], nodes[1][:1]), (nodes[0], nodes[1][-1:]),
    )])  # fmt: skip
    matrix = torch.cat([rows(basis, nodes), edges, basis.scattered(place)])
    data = torch.cat([values.flatten(), torch.full((34,), 0.5).double(), sensors[1]])
    sizes = torch.cat([torch.full((72,), 2.0), torch.full((34,), 1e-5), torch.tensor([0.1])])
    gram = 0.49 * matrix @ matrix.T + torch.diag(sizes.double() ** 2)
    cross = 0.49 * basis(X) @ matrix.T
    mean = cross @ torch.linalg.solve(gram, data)
    within = 0.49 * basis(X) @ basis(X).T - cross @ torch.linalg.solve(gram, cross.T)
    assert isinstance(found, GridPosterior)
    torch.testing.assert_close(found.value(X).flatten(), mean, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        found.std(X).flatten(), within.diagonal().sqrt(), rtol=1e-3, atol=1e-4
    )


def test_draws_have_the_mean_and_the_spread_of_the_posterior():
    found = condition(laplace, GRID, [prior(4)] * 2, source=1.0, boundary=0.0, noise=20.0)
    draws = torch.stack([d(X, (1, 0)) for d in found.draws(2000, torch.Generator().manual_seed(0))])
    torch.testing.assert_close(draws.std(0), found.std(X, (1, 0)), rtol=0.1, atol=0)
    gap = (draws.mean(0) - found.value(X, (1, 0))).abs() / found.std(X, (1, 0))
    assert float(gap.max()) < 5 / math.sqrt(2000)


@pytest.mark.parametrize("noise", [0.0, 10.0])
@pytest.mark.parametrize("truths", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_ninety_percent_intervals_cover_ninety_percent_of_draws_from_the_prior(noise, truths):
    bases = [prior(), prior(9)]
    basis, covered = ProductBasis(bases), []
    for seed in range(truths):
        c = normal(15 * 17, seed=seed)
        core = c.reshape(15, 17)

        def truth(x, y, core=core):
            return bases[0](x.flatten()) @ core @ bases[1](y.flatten()).T

        source = (rows(basis, [GRID.axis(0), GRID.axis(1)]) @ c).reshape(9, 8)
        source = source + noise * normal(9, 8, seed=1000 + seed)
        found = condition(laplace, GRID, bases, boundary=truth, noise=noise, values=source)
        inside = (found.value(X) - truth(*X)).abs() <= 1.6449 * found.std(X)
        covered.append(inside.double().mean())
    # The points of one truth may all be wrong together: the binomial law of as many as truths.
    allowed = 0.05 if truths == 200 else 3 * math.sqrt(0.9 * 0.1 / truths)
    assert float(torch.stack(covered).mean()) == pytest.approx(0.9, abs=allowed)


@pytest.mark.parametrize("axes", [1, 2])
def test_a_nonlinear_equation_is_linearised_at_its_most_probable_solution(axes):
    # Exact data of a truth: what the intervals are of must be that truth.
    grid, bases = Grid((20,) * axes, 1.0, False), [prior(3)] * axes
    basis = ProductBasis(bases)
    core = normal(5**axes).reshape([5] * axes) / 2

    def truth(*x):
        u = core
        for y in x:
            u = torch.tensordot(u, prior(3)(y.flatten()), ([0], [1]))
        return u

    zero = (0,) * axes
    seconds = [tuple(2 * int(i == j) for i in range(axes)) for j in range(axes)]
    nodes = [grid.axis(j) for j in range(axes)]
    bend = sum(basis(nodes, o) @ core.flatten() for o in seconds)
    cube = (basis(nodes) @ core.flatten()) ** 3
    found = condition(
        lambda d, u: sum(d(u, o) for o in seconds) - d(u, zero) ** 3,
        grid, bases[0] if axes == 1 else bases,
        boundary=truth, noise=1e-3, values=(bend - cube).reshape(grid.shape),
    )  # fmt: skip
    points = X[:axes]
    at, bars = (found.value(*points), found.std(*points)) if axes == 1 else (
        found.value(points), found.std(points)
    )  # fmt: skip
    gap = (at - truth(*points)).abs()
    assert float(gap.max()) < 1e-3
    assert bool((gap <= 4 * bars + 1e-9).all())


def test_too_many_functions_or_bases_are_refused():
    with pytest.raises(ValueError, match="79 x 79 = 6241 products, expected at most 2000"):
        condition(laplace, GRID, [prior(40)] * 2, boundary=0.0)
    with pytest.raises(ValueError, match="basis has 1 entries on a grid of 2 axes"):
        condition(laplace, GRID, prior(), boundary=0.0)
