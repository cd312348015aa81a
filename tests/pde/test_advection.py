"""Advection against its exact solution, shifts by whole points and its law."""

import dataclasses
import json
import math

import pytest
import torch

from pdesolve import ConvergenceError, Grid
from pdesolve.ops import fourier
from pdesolve.pde import Advection

CASES = [
    (Advection(velocity=(0.7,), times=(0.0, 0.3, 2.0)), Grid((40,), 2.0, True)),
    (Advection(velocity=(-1.3, 0.4), times=(0.3, 2.0)), Grid((33, 48), (1.0, 0.6), True, "cell")),
    (
        Advection(velocity=(1.0, 0.0, -2.0), times=(0.25,)),
        Grid((35, 32, 40), (1.0, 0.5, 2.0), True, offset=(0.0, 0.01, 0.0)),
    ),
]


def generators(samples: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(samples)]


@pytest.mark.parametrize(("law", "grid"), CASES, ids=str)
def test_solution_is_the_shifted_initial_field(law, grid, device):
    solution = law.solve(initial=law.exact(grid, (0.0,))[:, 0].to(device), grid=grid)
    assert solution.value.shape == (1, 1, len(law.times), *grid.shape)
    torch.testing.assert_close(solution.value[:, 0].cpu(), law.exact(grid), rtol=0, atol=1e-8)


@pytest.mark.parametrize("n", [7, 8])
def test_a_shift_by_whole_points_rolls_any_field(n):
    law, grid = Advection(velocity=(1.0,)), Grid((n,), 1.0, True)
    u = torch.rand(2, n, generator=generators(1)[0], dtype=torch.float64)
    torch.testing.assert_close(law.step(u, 3 / n, grid=grid), u.roll(3, -1), rtol=0, atol=1e-14)


def test_residual_of_the_exact_solution_vanishes():
    law = Advection(velocity=(2.0, -1.0))
    # One period of the formula in every direction of space-time.
    times = [i / 50 for i in range(50)]
    grid = Grid((50, 48, 42), (1.0, 1.0, 1.0), True)
    u = law.exact(Grid((48, 42), 1.0, True), times)

    def d(v, orders):
        return fourier.derivative(v, orders, grid.lengths)

    assert float(law.residual(d, u).abs().max()) < 1e-6
    assert float(law.residual(d, u.flip(1)).abs().max()) > 1
    assert law.linear_part == {(1, 0, 0): 1.0, (0, 1, 0): 2.0, (0, 0, 1): -1.0}


def test_step_is_differentiable():
    law, grid = CASES[1][0], Grid((4, 5), 1.0, True)
    state = torch.rand(1, 4, 5, generator=generators(1)[0], dtype=torch.float64).requires_grad_()
    torch.autograd.gradcheck(lambda u: law.step(u, 0.3, 2, grid=grid), state)


def test_relative_residual_is_zero_for_the_solution_and_only_for_it():
    law, grid = CASES[1]
    initial = law.exact(grid, (0.0,))[:, 0]
    u = law.exact(grid)
    assert float(law.relative_residual(u, initial=initial, grid=grid)) < 1e-8
    assert float(law.relative_residual(u.flip(1), initial=initial, grid=grid)) > 0.1
    still = initial[:, None].expand_as(u)
    assert float(law.relative_residual(still, initial=initial, grid=grid)) > 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_solution_has_the_dtype_of_the_initial_field(dtype):
    law, grid = CASES[0]
    value = law.solve(initial=law.exact(grid, (0.0,))[:, 0].to(dtype), grid=grid).value
    assert value.dtype == dtype
    torch.testing.assert_close(value[:, 0].double(), law.exact(grid), rtol=0, atol=1e-6)


def test_a_generator_gives_the_same_field_on_a_finer_grid():
    law, fine = Advection(velocity=(1.0, 1.0), modes=16), Grid((24, 32), 1.0, True)
    u = law.random_inputs(fine, generators(2))["initial"]
    coarse = law.random_inputs(fine.strided(4), generators(2))["initial"]
    torch.testing.assert_close(u[:, ::4, ::4], coarse, rtol=1e-11, atol=1e-12)


def test_check_sees_mass_that_changes():
    law, grid = CASES[0]
    initial = law.random_inputs(grid, generators(3))["initial"]
    u = law.solve(initial=initial, grid=grid).value[:, 0]
    ((_, flags, _),) = law.check({"initial": initial, "solution": u[:, 0]}, grid)
    assert not bool(flags.any())
    u[1, 2] += 1e-2 * float(initial.abs().max())
    u[2, 0, 0] = math.nan
    ((name, flags, _),) = law.check({"initial": initial, "solution": u}, grid)
    assert (name, flags.tolist()) == ("mass", [False, True, True])


def test_a_field_that_is_not_finite_is_an_error():
    law, grid = CASES[0]
    initial = torch.zeros(2, *grid.shape)
    initial[1, 3] = math.inf
    with pytest.raises(ConvergenceError, match=r"1 of 2 samples .* not finite"):
        law.solve(initial=initial, grid=grid)


def test_equation_is_rebuilt_from_json():
    law = CASES[1][0]
    assert Advection(**json.loads(json.dumps(dataclasses.asdict(law)))) == law


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid((8, 8), 1.0, True), "expected 1 periodic axes"),
        (Grid((8,), 1.0, False), "periodic"),
        (Grid((9,), 1.0, True), r"state has shape \(1, 8\)"),
    ],
    ids=str,
)
def test_wrong_grids_are_refused(grid, message):
    with pytest.raises(ValueError, match=message):
        Advection().solve(initial=torch.ones(1, 8), grid=grid)
