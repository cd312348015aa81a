"""Helmholtz' equation against formulas, plane waves, series and a dense solve."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.ops import difference
from pdesolve.pde import Helmholtz2d


def generators(samples: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(samples)]


def relative(difference_: torch.Tensor, to: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(difference_) / torch.linalg.vector_norm(to))


def test_manufactured_solution_is_met_with_second_order(device):
    law, errors = Helmholtz2d(), []
    for n in (16, 32, 64):
        grid = Grid((n + 1, 2 * n + 1), (1.0, 0.8), False)
        exact = {name: field.to(device) for name, field in law.manufactured(grid).items()}
        u = exact.pop("solution")
        value = law.solve(**exact, grid=grid).value
        assert value.device == u.device and value.shape == (1, 1, *grid.shape)
        errors.append(relative(value[:, 0] - u, u))
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert orders == pytest.approx([2.0, 2.0], abs=0.1)


def test_a_plane_wave_is_continued_from_its_boundary_values():
    law, errors = Helmholtz2d(frequency=6.0), []
    for n in (33, 65):
        grid = Grid((n, 2 * n - 1), 1.0, False)
        x, y = grid.coordinates()
        wave = torch.cos(6 * (0.6 * x + 0.8 * y))[None]
        value = law.solve(coefficient=torch.ones_like(wave), boundary=wave, grid=grid).value[:, 0]
        errors.append(relative(value - wave, wave))
    assert errors[1] < 2e-3 and errors[0] / errors[1] == pytest.approx(4.0, abs=0.5)


def test_solution_is_that_of_a_dense_solve():
    law, grid = Helmholtz2d(), Grid((7, 9), (1.0, 0.6), False)
    fields = law.random_inputs(grid, generators(2))
    fields["source"] = torch.rand(2, 7, 9, generator=generators(1)[0], dtype=torch.float64)
    value = law.solve(**fields, grid=grid).value[:, 0]
    for i in range(2):
        matrix, rhs = np.zeros((63, 63)), np.zeros(63)
        for row, (j, k) in enumerate(np.ndindex(7, 9)):
            if j in (0, 6) or k in (0, 8):
                matrix[row, row], rhs[row] = 1, fields["boundary"][i, j, k]
                continue
            hx, hy = grid.spacing
            matrix[row, row] = -2 / hx**2 - 2 / hy**2
            matrix[row, row] += law.frequency**2 * float(fields["coefficient"][i, j, k])
            matrix[row, [row - 9, row + 9]] = 1 / hx**2
            matrix[row, [row - 1, row + 1]] = 1 / hy**2
            rhs[row] = fields["source"][i, j, k]
        expected = torch.from_numpy(np.linalg.solve(matrix, rhs)).reshape(7, 9)
        assert relative(value[i] - expected, expected) < 1e-12


def test_pointwise_residual_of_the_manufactured_solution_vanishes_with_second_order():
    law, sizes = Helmholtz2d(), []
    for n in (31, 61):
        grid = Grid((n, n + 3), (1.0, 1.3), False)
        exact = law.manufactured(grid)
        residual = law.residual(
            lambda u, orders, grid=grid: difference.derivative(u, orders, grid),
            exact["solution"], coefficient=exact["coefficient"], source=exact["source"],
        )  # fmt: skip
        sizes.append(float(residual.abs().max()))
    assert sizes[0] < 0.05 and math.log2(sizes[0] / sizes[1]) == pytest.approx(2.0, abs=0.2)


def test_relative_residual_is_zero_for_the_solution_and_only_for_it():
    law, grid = Helmholtz2d(), Grid((21, 24), 1.0, False)
    fields = law.random_inputs(grid, generators(2))
    u = law.solve(**fields, grid=grid).value[:, 0]
    assert float(law.relative_residual(u, **fields, grid=grid).max()) < 1e-11
    found = law.relative_residual(0.9 * u, **fields, grid=grid)
    assert found.tolist() == pytest.approx([0.1, 0.1])
    u[:, 0, 5] += 0.01
    assert float(law.relative_residual(u, **fields, grid=grid).min()) > 1e-3


def test_random_samples_have_the_law_of_the_formula():
    grid = Grid((32, 32), 1.0, False)
    fields = Helmholtz2d().random_inputs(grid, generators(50))
    a, b = fields["coefficient"], fields["boundary"]
    assert a.amin((1, 2)).abs().max() == 0 and bool((a <= 1).all())
    assert torch.equal(b, b[:, :1, :1].expand_as(b))
    assert 0.25 <= float(b.min()) < 0.27 and 0.48 < float(b.max()) <= 0.5


def test_bumps_stay_in_place_on_a_finer_grid():
    fine = Grid((65, 65), 1.0, False)
    law = Helmholtz2d(bumps=(1, 1))
    on_fine = law.random_inputs(fine, generators(2))["coefficient"][:, ::4, ::4]
    on_coarse = law.random_inputs(fine.strided(4), generators(2))["coefficient"]
    # One bump on two grids: equal up to the factor by which each grid's largest value differs.
    for fine_bump, coarse_bump in zip(1 - on_fine, 1 - on_coarse, strict=True):
        factor = fine_bump.sum() / coarse_bump.sum()
        torch.testing.assert_close(fine_bump, factor * coarse_bump, rtol=1e-10, atol=1e-14)
        assert float(factor) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_solution_has_the_dtype_of_the_coefficient(dtype):
    law, grid = Helmholtz2d(), Grid((11, 12), 1.0, False)
    fields = law.random_inputs(grid, generators(1))
    exact = law.solve(**fields, grid=grid).value
    value = law.solve(**{name: v.to(dtype) for name, v in fields.items()}, grid=grid).value
    assert value.dtype == dtype and relative(value - exact, exact) < 1e-5


def test_check_names_suspicious_samples():
    law, grid = Helmholtz2d(), Grid((8, 8), 1.0, False)
    fields = law.random_inputs(grid, generators(3))
    fields["solution"] = law.solve(**fields, grid=grid).value[:, 0]
    fields["solution"][1, 0, 3] += 0.1
    fields["solution"][2, 7, 7] = math.nan
    ((name, flags, _),) = law.check(fields, grid)
    assert (name, flags.tolist()) == ("walls", [False, True, True])


def test_equation_is_rebuilt_from_json():
    law = Helmholtz2d(bumps=(1, 3))
    assert Helmholtz2d(**json.loads(json.dumps(dataclasses.asdict(law)))) == law


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid((8, 8), 1.0, True), "both walls stored"),
        (Grid((8, 8), 1.0, False, "cell"), "both walls stored"),
        (Grid((8, 9), 1.0, False), r"coefficient has shape \(1, 8, 8\)"),
    ],
    ids=str,
)
def test_wrong_grids_are_refused(grid, message):
    with pytest.raises(ValueError, match=message):
        Helmholtz2d().solve(
            coefficient=torch.ones(1, 8, 8), boundary=torch.ones(1, 8, 8), grid=grid
        )


def test_wrong_fields_and_constants_are_refused():
    grid, ones = Grid((8, 8), 1.0, False), torch.ones(1, 8, 8)
    with pytest.raises(ValueError, match="boundary has a NaN"):
        Helmholtz2d().solve(coefficient=ones, boundary=ones * math.nan, grid=grid)
    with pytest.raises(ValueError, match="zero everywhere"):
        Helmholtz2d().relative_residual(ones, coefficient=ones, boundary=0 * ones, grid=grid)
    with pytest.raises(ValueError, match="bumps is"):
        Helmholtz2d(bumps=(3, 2))
    with pytest.raises(ValueError, match="at least one bump"):
        Helmholtz2d(bumps=(0, 2))
