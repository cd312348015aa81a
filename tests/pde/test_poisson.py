"""Poisson's equation against sparse direct solves, formulas and its orders."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch

from pdesolve import ConvergenceError, Grid
from pdesolve.ops import fourier
from pdesolve.pde import Poisson

WALLS = [
    Grid((17,), 2.0, False),
    Grid((12,), 0.5, False, "cell"),
    Grid((9, 14), (1.3, 0.7), False),
    Grid((11, 8), (1.3, 0.7), False, "cell"),
    Grid((5, 7, 6), (1.0, 0.5, 2.0), False),
    Grid((4, 7, 6), (1.0, 0.5, 2.0), False, "cell"),
]
PERIODIC = [
    Grid((32,), 2.0, True),
    Grid((31, 44), (1.3, 0.7), True),
    Grid((24, 27, 25), (1.0, 0.5, 2.0), True, "cell"),
]


def generators(samples: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(samples)]


def relative(difference: torch.Tensor, to: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(difference) / torch.linalg.vector_norm(to))


def direct_solution(f: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Solve the sum of Kronecker products by SuperLU."""
    node = grid.placement == "node"
    sizes = [n - 2 if node else n for n in grid.shape]
    total = 0
    for axis, n in enumerate(sizes):
        second = scipy.sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(n, n), format="lil")
        if not node:
            second[0, 0] = second[-1, -1] = 3
        term = scipy.sparse.identity(1)
        for j, m in enumerate(sizes):
            factor = second / grid.spacing[axis] ** 2 if j == axis else scipy.sparse.identity(m)
            term = scipy.sparse.kron(term, factor)
        total = total + term
    inside = (slice(1, -1),) * grid.dims if node else ...
    u = torch.zeros(grid.shape, dtype=torch.float64)
    rhs = f.numpy()[inside].ravel()
    u[inside] = torch.from_numpy(np.reshape(scipy.sparse.linalg.spsolve(total.tocsc(), rhs), sizes))
    return u


@pytest.mark.parametrize("grid", WALLS, ids=str)
def test_solution_between_walls_is_that_of_a_direct_solve(grid, device):
    f = torch.rand(2, *grid.shape, generator=generators(1)[0], dtype=torch.float64)
    law = Poisson(dims=grid.dims)
    solution = law.solve(source=f.to(device), grid=grid)
    assert solution.value.shape == (2, 1, *grid.shape)
    for i in range(2):
        expected = direct_solution(f[i], grid)
        assert relative(solution.value[i, 0].cpu() - expected, expected) < 1e-12


@pytest.mark.parametrize("grid", PERIODIC, ids=str)
def test_periodic_solution_is_met_to_spectral_accuracy(grid, device):
    law = Poisson(dims=grid.dims)
    exact = law.manufactured(grid)
    value = law.solve(source=exact["source"].to(device), grid=grid).value[:, 0].cpu()
    assert relative(value - exact["solution"], exact["solution"]) < 1e-9


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("placement", "walls"), [("node", 1), ("cell", 0)])
def test_manufactured_solution_is_met_with_second_order(dims, placement, walls):
    law, errors = Poisson(dims=dims), []
    for n in (10, 20, 40):
        shape = tuple(n + 2 * j + walls if j == 0 else n + walls for j in range(dims))
        grid = Grid(shape, (1.0, 1.5, 0.8)[:dims], False, placement)
        exact = law.manufactured(grid)
        value = law.solve(source=exact["source"], grid=grid).value[:, 0]
        errors.append(relative(value - exact["solution"], exact["solution"]))
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert orders == pytest.approx([2.0, 2.0], abs=0.1)


@pytest.mark.parametrize("grid", PERIODIC, ids=str)
def test_pointwise_residual_of_the_manufactured_solution_vanishes(grid):
    law = Poisson(dims=grid.dims)
    exact = law.manufactured(grid)
    residual = law.residual(
        lambda u, orders: fourier.derivative(u, orders, grid.lengths),
        exact["solution"], source=exact["source"],
    )  # fmt: skip
    assert relative(residual, exact["source"]) < 1e-6


def test_linear_part_is_minus_the_laplacian():
    assert Poisson(dims=1).linear_part == {(2,): -1.0}
    assert Poisson(dims=3).linear_part == {(2, 0, 0): -1.0, (0, 2, 0): -1.0, (0, 0, 2): -1.0}


@pytest.mark.parametrize("grid", WALLS + PERIODIC, ids=str)
def test_relative_residual_is_zero_for_the_solution_and_only_for_it(grid):
    law = Poisson(dims=grid.dims, modes=8)
    f = law.random_inputs(grid, generators(2))["source"]
    u = law.solve(source=f, grid=grid).value[:, 0]
    assert float(law.relative_residual(u, source=f, grid=grid).max()) < 1e-11
    found = law.relative_residual(0.9 * u, source=f, grid=grid)
    assert found.tolist() == pytest.approx([0.1, 0.1])
    assert law.relative_residual(0 * u, source=0 * f, grid=grid).tolist() == [0, 0]


def test_relative_residual_sees_a_wrong_wall_value():
    grid = WALLS[2]
    f = torch.ones(1, *grid.shape, dtype=torch.float64)
    u = Poisson().solve(source=f, grid=grid).value[:, 0]
    # A corner: no difference quotient of an interior node reaches it.
    u[:, 0, 0] += 0.01
    assert float(Poisson().relative_residual(u, source=f, grid=grid)) > 0.1


def test_unit_source_gives_the_torsion_value_at_the_centre():
    centres = []
    for n in (33, 97):
        grid = Grid((n, n), 1.0, False)
        u = Poisson().solve(source=torch.ones(1, n, n, dtype=torch.float64), grid=grid).value
        centres.append(float(u[0, 0, n // 2, n // 2]))
    assert (9 * centres[1] - centres[0]) / 8 == pytest.approx(0.0736713, abs=1e-7)


def test_the_mean_of_a_periodic_source_is_ignored():
    grid = PERIODIC[1]
    f = Poisson(modes=8).random_inputs(grid, generators(1))["source"]
    with_mean = Poisson().solve(source=f + 3.0, grid=grid)
    torch.testing.assert_close(with_mean.value, Poisson().solve(source=f, grid=grid).value)
    assert float(with_mean.value.mean().abs()) < 1e-14


@pytest.mark.parametrize("periodic", [False, True])
def test_a_generator_gives_the_same_source_on_a_finer_grid(periodic):
    fine = Grid((25, 33) if not periodic else (24, 32), (1.0, 1.5), periodic)
    law = Poisson(modes=10)
    f = law.random_inputs(fine, generators(2))["source"]
    coarse = law.random_inputs(fine.strided(4), generators(2))["source"]
    torch.testing.assert_close(f[:, ::4, ::4], coarse, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_solution_has_the_dtype_of_the_source(dtype):
    grid = WALLS[2]
    exact = Poisson().manufactured(grid)["source"]
    value = Poisson().solve(source=exact.to(dtype), grid=grid).value
    assert value.dtype == dtype
    assert relative(value - Poisson().solve(source=exact, grid=grid).value, value) < 1e-6


def test_check_names_suspicious_samples():
    u = torch.ones(3, 6, 6, dtype=torch.float64)
    u[:, 0] = u[:, -1] = u[:, :, 0] = u[:, :, -1] = 0
    u[1, 0, 3], u[2, 2, 2] = 0.1, -0.5
    fields = {"solution": u, "source": torch.ones(3, 6, 6)}
    found = Poisson().check(fields, Grid((6, 6), 1.0, False))
    assert {name: flags.tolist() for name, flags, _ in found} == {
        "walls": [False, True, False],
        "maximum principle": [False, False, True],
    }
    found = Poisson().check(fields, Grid((6, 6), 1.0, True))
    assert {name: flags.tolist() for name, flags, _ in found} == {"mean": [True, True, True]}


def test_rounding_beyond_the_tolerance_is_an_error():
    grid = WALLS[0]
    f = Poisson(dims=1).manufactured(grid)["source"]
    with pytest.raises(ConvergenceError, match="use a coarser grid"):
        Poisson(dims=1).solve(source=f, grid=grid, tolerance=1e-18)


def test_equation_is_rebuilt_from_json():
    law = Poisson(dims=3, tau=2.5)
    assert Poisson(**json.loads(json.dumps(dataclasses.asdict(law)))) == law


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid((8, 8), 1.0, (True, False)), "all periodic or all with walls"),
        (Grid((8,), 1.0, False), "1 axes"),
        (Grid((8, 8), 1.0, False, offset=1 / 64), "offset"),
        (Grid((8, 3), 1.0, False), "at least 4 per axis"),
        (Grid((8, 9), 1.0, False), r"field has shape \(1, 8, 8\)"),
    ],
    ids=str,
)
def test_wrong_grids_are_refused(grid, message):
    with pytest.raises(ValueError, match=message):
        Poisson().solve(source=torch.ones(1, 8, 8), grid=grid)


def test_wrong_sources_and_dimensions_are_refused():
    with pytest.raises(ValueError, match="NaN or infinity"):
        Poisson().solve(source=torch.full((1, 8, 8), math.nan), grid=Grid((8, 8), 1.0, False))
    with pytest.raises(ValueError, match="dims is 4, expected 1, 2 or 3"):
        Poisson(dims=4)
