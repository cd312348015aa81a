"""Burgers' equation against Cole and Hopf, its symmetries, invariants and a dense integrator."""

import dataclasses
import json
import math

import numpy as np
import pytest
import scipy.integrate
import torch

from pdesolve import ConvergenceError, Grid
from pdesolve.pde import Burgers1d

GRIDS = [Grid((64,), (1.0,), True), Grid((81,), (2.5,), True, "cell")]


def generators(samples: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(samples)]


def relative(difference: torch.Tensor, to: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(difference) / torch.linalg.vector_norm(to))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_solution_is_that_of_cole_and_hopf(grid, device):
    law = Burgers1d(times=(0.0, 0.2, 0.7))
    exact = law.exact(grid)
    solution = law.solve(initial=exact[:, 0].to(device), grid=grid, tolerance=1e-10)
    assert solution.value.shape == (1, 1, 3, *grid.shape)
    assert relative(solution.value[:, 0].cpu() - exact, exact) < 1e-9


def test_step_has_order_four():
    law, grid = Burgers1d(), GRIDS[0]
    start, end = law.exact(grid, (0.0, 0.3), sharpness=0.5)[0][:, None]
    errors = [relative(law.step(start, 0.3, n, grid=grid) - end, end) for n in (16, 32, 64)]
    orders = [math.log2(errors[i] / errors[i + 1]) for i in range(2)]
    # Order four is met from below: 3.7 and more where the stiffest modes are still coarse.
    assert min(orders) > 3.7 and errors[-1] < 1e-8


def test_error_falls_exponentially_with_the_points():
    law = Burgers1d(viscosity=0.02, times=(0.3,))
    errors = []
    for n in (24, 48, 96):
        grid = Grid((n,), 1.0, True)
        exact = law.exact(grid, (0.0, 0.3), sharpness=0.8)
        value = law.solve(initial=exact[:, 0], grid=grid, tolerance=1e-11).value[:, 0]
        errors.append(relative(value - exact[:, 1:], exact[:, 1:]))
    assert errors[0] > 10 * errors[1] and errors[1] > 100 * errors[2] and errors[2] < 1e-9


def test_energy_is_kept_without_viscosity():
    law, grid = Burgers1d(viscosity=1e-13), Grid((48,), 1.0, True)
    start = torch.randn(3, 48, generator=generators(1)[0], dtype=torch.float64)
    # Products of kept modes alias into kept modes unless a third of the spectrum is free.
    kept = law.step(start, 0.0, grid=grid)
    energy = (law.step(start, 1e-3, 10, grid=grid) ** 2).sum(1)
    assert torch.fft.rfft(kept).abs().gt(1e-10).sum(1).tolist() == [16] * 3
    torch.testing.assert_close(energy, (kept**2).sum(1), rtol=1e-9, atol=0)


def test_a_moving_frame_carries_the_solution_along():
    law, grid, speed = Burgers1d(times=(0.5,)), Grid((64,), 1.0, True), 0.75
    start = law.exact(grid, (0.0,))[:, 0]
    moved = law.solve(initial=start + speed, grid=grid, tolerance=1e-10).value[:, 0, 0]
    # In half a time unit the frame moves 24 of the 64 points.
    expected = speed + law.exact(grid, (0.5,))[:, 0].roll(24, -1)
    assert relative(moved - expected, expected) < 1e-9


def test_random_velocities_agree_with_a_dense_integration():
    law, grid = Burgers1d(viscosity=0.05, times=(0.4,), modes=12), Grid((60,), (1.0,), True)
    start = law.random_inputs(grid, generators(1))["initial"]
    n, spacing = 60, 1 / 60
    k = np.fft.fftfreq(n, spacing) * 2 * np.pi
    transform = np.fft.fft(np.eye(n), axis=0)
    first = np.linalg.solve(transform, 1j * k[:, None] * transform).real
    second = np.linalg.solve(transform, -(k[:, None] ** 2) * transform).real
    found = scipy.integrate.solve_ivp(
        lambda t, u: -u * (first @ u) + 0.05 * second @ u, (0, 0.4), start[0].numpy(),
        method="DOP853", rtol=1e-10, atol=1e-12,
    ).y[:, -1]  # fmt: skip
    value = law.solve(initial=start, grid=grid).value[0, 0, 0]
    # 1e-5: the modes beyond 2/3 of Nyquist are dropped here and aliased there.
    assert relative(value - torch.from_numpy(found), value) < 1e-5


def test_residual_of_the_exact_solution_vanishes():
    law = Burgers1d()
    x, t = torch.tensor([0.42], dtype=torch.float64), torch.tensor([0.2], dtype=torch.float64)

    def formula(t, x):
        kappa = 2 * math.pi
        decay = 0.8 * torch.exp(-law.viscosity * kappa**2 * t)
        phi = 1 + decay * torch.cos(kappa * x)
        return 2 * law.viscosity * kappa * decay * torch.sin(kappa * x) / phi

    def d(u, orders):
        point = [t.clone().requires_grad_(), x.clone().requires_grad_()]
        value = u(*point)
        for axis, order in enumerate(orders):
            for _ in range(order):
                (value,) = torch.autograd.grad(value, point[axis], create_graph=True)
        return value.detach()

    assert float(law.residual(d, formula).abs()) < 1e-12
    assert float(law.residual(d, lambda t, x: 1.1 * formula(t, x)).abs()) > 1e-2
    grid = Grid((200,), 1.0, True)
    at_x = formula(torch.tensor(0.2), grid.axis(0))
    torch.testing.assert_close(at_x, law.exact(grid, (0.2,))[0, 0], rtol=1e-6, atol=1e-8)


def test_step_is_differentiable():
    law, grid = Burgers1d(), Grid((9,), 1.0, True)
    state = law.exact(grid, (0.0,))[:, 0].requires_grad_()
    torch.autograd.gradcheck(lambda u: law.step(u, 0.05, 2, grid=grid), state)


def test_relative_residual_is_small_for_the_solution_and_only_for_it():
    law, grid = Burgers1d(times=(0.1, 0.2, 0.4)), GRIDS[0]
    initial = law.exact(grid, (0.0,))[:, 0]
    velocity = law.exact(grid)
    found = law.relative_residual(velocity, initial=initial, grid=grid)
    assert float(found) < 1e-6
    wrong = law.relative_residual(velocity.flip(1), initial=initial, grid=grid)
    assert float(wrong) > 0.5
    x_reversed = law.relative_residual(velocity.flip(2), initial=initial, grid=grid)
    assert float(x_reversed) > 0.5


def test_random_velocities_have_the_law_of_the_formula():
    grid = Grid((128,), 1.0, True)
    u = Burgers1d(modes=64).random_inputs(grid, generators(400))["initial"]
    kappa = 2 * math.pi * torch.arange(1, 32, dtype=torch.float64)
    variance = 2 * 625 * float(((kappa**2 + 25) ** -2.0).sum())
    assert float(u.var()) == pytest.approx(variance, rel=0.1)
    assert float(u.mean(1).abs().max()) < 1e-14


def test_a_generator_gives_the_same_velocity_on_a_finer_grid():
    fine = Grid((96,), 1.0, True)
    law = Burgers1d(modes=20)
    u = law.random_inputs(fine, generators(2))["initial"]
    coarse = law.random_inputs(fine.strided(4), generators(2))["initial"]
    torch.testing.assert_close(u[:, ::4], coarse, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_solution_has_the_dtype_of_the_initial_velocity(dtype):
    law, grid = Burgers1d(), GRIDS[0]
    initial = law.exact(grid, (0.0,))[:, 0]
    solution = law.solve(initial=initial.to(dtype), grid=grid, tolerance=1e-8)
    assert solution.value.dtype == dtype
    assert relative(solution.value[:, 0] - law.exact(grid), law.exact(grid)) < 1e-6


def test_missing_convergence_is_an_error():
    law, grid = Burgers1d(), GRIDS[0]
    with pytest.raises(ConvergenceError, match=r"1 of 1 samples .* use a finer grid"):
        law.solve(initial=law.exact(grid, (0.0,))[:, 0], grid=grid, max_substeps=4)


def test_momentum_is_kept_and_check_sees_where_it_is_not():
    law, grid = Burgers1d(viscosity=0.01, times=(0.1, 1.0), modes=20), Grid((256,), 1.0, True)
    initial = 0.3 + law.random_inputs(grid, generators(3))["initial"]
    velocity = law.solve(initial=initial, grid=grid, tolerance=1e-6).value[:, 0]
    torch.testing.assert_close(
        velocity.mean(2), initial.mean(1, keepdim=True).expand(3, 2), rtol=1e-12, atol=0
    )
    one_time = law.check({"initial": initial, "velocity": velocity[:, 0]}, grid)
    assert not any(bool(flags.any()) for _, flags, _ in one_time)
    velocity[1, 1] += 0.1
    velocity[2, 0] *= math.nan
    found = law.check({"initial": initial, "velocity": velocity}, grid)
    assert {name: flags.tolist() for name, flags, _ in found} == {
        "momentum": [False, True, True],
        "maximum principle": [False, False, True],
    }


def test_equation_is_rebuilt_from_json():
    law = Burgers1d(viscosity=1e-3, times=(0.5, 1.0))
    assert Burgers1d(**json.loads(json.dumps(dataclasses.asdict(law)))) == law


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid((64,), 1.0, False), "expected one periodic axis"),
        (Grid((8, 8), 1.0, True), "2 axes"),
        (Grid((63,), 1.0, True), r"state has shape \(1, 64\)"),
    ],
    ids=str,
)
def test_wrong_grids_are_refused(grid, message):
    with pytest.raises(ValueError, match=message):
        Burgers1d().solve(initial=torch.ones(1, 64), grid=grid)


def test_viscosity_must_be_positive():
    with pytest.raises(ValueError, match=r"viscosity is 0\.0, expected a number > 0"):
        Burgers1d(viscosity=0.0)
