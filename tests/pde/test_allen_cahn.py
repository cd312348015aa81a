"""Allen-Cahn against travelling fronts, a flat state's formula, a dense integrator, its energy."""

import dataclasses
import json
import math

import numpy as np
import pytest
import scipy.integrate
import torch

from pdesolve import ConvergenceError, Grid
from pdesolve.ops import fourier
from pdesolve.pde import AllenCahn

GRIDS = [Grid((31,), (1.5,), True), Grid((16, 21), (1.0, 0.7), True, "cell")]


def generators(samples: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(samples)]


def relative(difference: torch.Tensor, to: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(difference) / torch.linalg.vector_norm(to))


@pytest.mark.parametrize("dims", [1, 2])
def test_fronts_travel_at_their_speed(dims, device):
    law = AllenCahn(dims=dims, diffusivity=1e-3, reaction=20.0, times=(0.2, 0.5))
    grid = Grid((400, 3)[:dims], (2.0, 0.5)[:dims], True)
    start, exact = law.front(grid, (0.0,))[:, 0], law.front(grid, law.times)
    solution = law.solve(initial=start.to(device), grid=grid, tolerance=1e-9)
    assert solution.value.shape == (1, 1, 2, *grid.shape)
    # 1e-7: what the two fronts feel of each other.
    assert relative(solution.value[:, 0].cpu() - exact, exact) < 1e-7


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_a_flat_phase_follows_its_logistic_formula(grid):
    law = AllenCahn(dims=grid.dims, times=(0.0, 0.3, 1.0))
    start = torch.tensor([0.1, -0.7, 1.8], dtype=torch.float64)
    value = law.solve(
        initial=start.reshape(-1, *(1,) * grid.dims).expand(3, *grid.shape), grid=grid
    )
    for i, time in enumerate(law.times):
        # v = u² obeys v' = 2 r v (1 - v).
        v = 1 / (1 + (1 / start**2 - 1) * math.exp(-2 * law.reaction * time))
        found = value.value[:, 0, i].flatten(1)
        expected = (start.sign() * v.sqrt())[:, None].expand_as(found)
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=0)


def test_step_has_order_four():
    law, grid = AllenCahn(dims=1, diffusivity=1e-3, reaction=20.0), Grid((400,), 2.0, True)
    start, end = law.front(grid, (0.0,))[:, 0], law.front(grid, (0.5,))[:, 0]
    errors = [relative(law.step(start, 0.5, n, grid=grid) - end, end) for n in (40, 80, 160)]
    orders = [math.log2(errors[i] / errors[i + 1]) for i in range(2)]
    assert orders == pytest.approx([4.0, 4.0], abs=0.3)


def test_random_phases_agree_with_a_dense_integration():
    law, grid = AllenCahn(dims=1, diffusivity=0.01, modes=12, times=(0.4,)), GRIDS[0]
    start = law.random_inputs(grid, generators(1))["initial"]
    k = 2 * np.pi * np.fft.fftfreq(31, 1.5 / 31)
    transform = np.fft.fft(np.eye(31), axis=0)
    laplacian = np.linalg.solve(transform, -(k[:, None] ** 2) * transform).real
    found = scipy.integrate.solve_ivp(
        lambda t, u: 0.01 * laplacian @ u - 5.0 * (u**3 - u), (0, 0.4), start[0].numpy(),
        method="DOP853", rtol=1e-11, atol=1e-12,
    ).y[:, -1]  # fmt: skip
    value = law.solve(initial=start, grid=grid, tolerance=1e-9).value[0, 0, 0]
    assert relative(value - torch.from_numpy(found), value) < 1e-8


def test_residual_of_a_front_vanishes():
    law = AllenCahn(dims=1, diffusivity=1e-3, reaction=20.0)
    space = Grid((800,), 2.0, True)
    h = 1e-4
    frames = law.front(space, (0.3 - h, 0.3, 0.3 + h))[0]

    def d(u, orders):
        assert orders[0] <= 1
        at = (u[2] - u[0]) / (2 * h) if orders[0] else u[1]
        return fourier.derivative(at, orders[1:], space.lengths)

    assert float(law.residual(d, frames).abs().max()) < 1e-4
    assert float(law.residual(d, frames.flip(0)).abs().max()) > 1


@pytest.mark.parametrize("reaction", [-1.0, 2.0])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_steady_residual_of_the_manufactured_solution_vanishes(grid, reaction):
    law = AllenCahn(dims=grid.dims, diffusivity=0.5, reaction=reaction)
    exact = law.manufactured(grid)

    def d(u, orders):
        return fourier.derivative(u, orders, grid.lengths)

    residual = law.steady_residual(d, exact["phase"], source=exact["source"])
    assert relative(residual, exact["source"]) < 1e-12
    assert relative(law.steady_residual(d, exact["phase"]), exact["source"]) > 0.9


def test_the_standing_front_is_steady():
    law = AllenCahn(dims=1, diffusivity=0.02, reaction=3.0)
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    slope = math.sqrt(3.0 / 0.04)

    def d(u, orders):
        t = torch.tanh(slope * x)
        return -2 * slope**2 * t * (1 - t**2) if orders == (2,) else t

    assert float(law.steady_residual(d, x).abs().max()) < 1e-12


def test_energy_has_the_value_of_its_formula():
    law, grid = AllenCahn(dims=2, diffusivity=0.3, reaction=2.0), Grid((12, 15), (1.0, 2.0), True)
    x, y = grid.coordinates()
    u = torch.sin(2 * math.pi * x) * torch.cos(math.pi * y)
    gradient = (4 * math.pi**2 + math.pi**2) / 4
    # Means of sin⁴ cos⁴ and sin² cos²: 9/64 and 1/4.
    expected = 0.3 / 2 * gradient + 2.0 / 4 * (9 / 64 - 2 / 4 + 1)
    assert float(law.energy(u[None, None], grid)) == pytest.approx(expected, rel=1e-12)


def test_energy_never_grows_and_check_sees_where_it_does():
    law, grid = AllenCahn(modes=12, times=(0.1, 0.5, 2.0)), Grid((32, 40), 1.0, True)
    initial = law.random_inputs(grid, generators(3))["initial"]
    phase = law.solve(initial=initial, grid=grid).value[:, 0]
    fields = {"initial": initial, "phase": phase}
    assert not any(bool(flags.any()) for _, flags, _ in law.check(fields, grid))
    one_time = law.check({"initial": initial, "phase": phase[:, 0]}, grid)
    assert not any(bool(flags.any()) for _, flags, _ in one_time)
    phase[1] = phase[1].flip(0)
    phase[2, 0, 0, 0] = 3.0
    assert {name: flags.tolist() for name, flags, _ in law.check(fields, grid)} == {
        "maximum principle": [False, False, True],
        "energy": [False, True, False],
    }


def test_step_is_differentiable():
    law, grid = AllenCahn(), Grid((3, 4), 1.0, True)
    state = torch.rand(1, 3, 4, generator=generators(1)[0], dtype=torch.float64).requires_grad_()
    torch.autograd.gradcheck(lambda u: law.step(u, 0.1, 2, grid=grid), state)


def test_relative_residual_is_small_for_the_solution_and_only_for_it():
    law, grid = AllenCahn(modes=6, times=(0.1, 0.4)), GRIDS[1]
    initial = law.random_inputs(grid, generators(2))["initial"]
    phase = law.solve(initial=initial, grid=grid, tolerance=1e-8).value[:, 0]
    found = law.relative_residual(phase, initial=initial, grid=grid)
    assert float(found.max()) < 1e-6
    wrong = law.relative_residual(1.01 * phase, initial=initial, grid=grid)
    assert float(wrong.min()) > 1e-3


def test_a_generator_gives_the_same_field_on_a_finer_grid():
    law, fine = AllenCahn(modes=16), Grid((24, 32), 1.0, True)
    u = law.random_inputs(fine, generators(2))["initial"]
    coarse = law.random_inputs(fine.strided(4), generators(2))["initial"]
    torch.testing.assert_close(u[:, ::4, ::4], coarse, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_solution_has_the_dtype_of_the_initial_field(dtype):
    grid = GRIDS[1]
    initial = AllenCahn(modes=6).random_inputs(grid, generators(1))["initial"]
    exact = AllenCahn().solve(initial=initial, grid=grid).value
    value = AllenCahn().solve(initial=initial.to(dtype), grid=grid).value
    assert value.dtype == dtype and relative(value - exact, exact) < 1e-5


def test_missing_convergence_is_an_error():
    law, grid = AllenCahn(modes=6), GRIDS[1]
    with pytest.raises(ConvergenceError, match="record more often"):
        law.solve(**law.random_inputs(grid, generators(1)), grid=grid, max_substeps=2)


def test_equation_is_rebuilt_from_json():
    law = AllenCahn.poseidon()
    assert AllenCahn(**json.loads(json.dumps(dataclasses.asdict(law)))) == law
    assert law.reaction == 48400 and len(law.times) == 20 and law.times[-1] == 2e-4


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid((8, 8), 1.0, False), "expected 2 periodic axes"),
        (Grid((8,), 1.0, True), "1 axes"),
        (Grid((8, 9), 1.0, True), r"state has shape \(1, 8, 8\)"),
    ],
    ids=str,
)
def test_wrong_grids_are_refused(grid, message):
    with pytest.raises(ValueError, match=message):
        AllenCahn().solve(initial=torch.ones(1, 8, 8), grid=grid)


def test_wrong_constants_are_refused():
    with pytest.raises(ValueError, match="dims is 4"):
        AllenCahn(dims=4)
    with pytest.raises(ValueError, match=r"diffusivity is 0\.0"):
        AllenCahn(diffusivity=0.0)
