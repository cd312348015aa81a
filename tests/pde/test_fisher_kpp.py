"""Fisher-KPP against travelling waves, a dense integrator, and its encoding's definition."""

import dataclasses
import json
import math

import numpy as np
import pytest
import scipy.integrate
import torch

from pdesolve import ConvergenceError, Grid
from pdesolve.ops import difference
from pdesolve.pde import FisherKPP

LAWS = [("logistic", 0.7, 0.0), ("cubic", 0.5, 0.0), ("exponential", 0.9, 1.7), ("allee", 1.0, 0.2)]
GRIDS = [Grid((33,), 1.5, False), Grid((24,), 1.0, False, "cell"), Grid((25,), 1.0, True)]


def generators(samples: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(samples)]


def encoded(*laws) -> dict[str, torch.Tensor]:
    codes = [FisherKPP.encoding(*law) for law in laws]
    return {name: torch.tensor([c[name] for c in codes], dtype=torch.float64) for name in codes[0]}


def growth(form, a, b, u):
    """Return R(u) as the class docstring writes it."""
    return {
        "logistic": a * u * (1 - u),
        "cubic": a * u * (1 - u**2),
        "exponential": a * u * (1 - u) * np.exp(-b * (1 - u)),
        "allee": a * u * (1 - u) * (u - b),
    }[form]


def relative(difference: torch.Tensor, to: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(difference) / torch.linalg.vector_norm(to))


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_reaction_is_that_of_the_formula(law):
    u = torch.linspace(-0.2, 1.5, 50, dtype=torch.float64)
    laws = (LAWS[0], law, LAWS[2])
    found = FisherKPP.reaction(u.expand(3, -1), **encoded(*laws))
    for row, each in zip(found, laws, strict=True):
        expected = torch.from_numpy(growth(*each, u.numpy()))
        torch.testing.assert_close(row, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_encoding_is_the_expansion_of_the_reaction(law):
    form, a, b = law
    powers = ("linear", "quadratic", "cubic", "quartic")
    coefficients = [FisherKPP.encoding(*law)[name] for name in powers]
    u = np.linspace(0, 1, 9)
    expected = growth(form, a, b, u)
    if form == "exponential":
        expected = a * u * (1 - u) * np.exp(-b) * (1 + b * u + (b * u) ** 2 / 2)
    found = sum(c * u ** (i + 1) for i, c in enumerate(coefficients))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("law", [LAWS[0], LAWS[1], LAWS[3]], ids=str)
@pytest.mark.parametrize("placement", ["node", "cell"])
def test_waves_travel_at_their_speed(law, placement, device):
    form, rate, shape = law
    equation = FisherKPP(diffusivity=0.5, times=(0.0, 4.0, 10.0))
    grid = Grid((321,), 120.0, False, placement)
    exact = equation.wave(grid, equation.times, form=form, rate=rate, shape=shape)
    parameters = {name: value.to(device) for name, value in encoded(law).items()}
    solution = equation.solve(
        initial=exact[:, 0].to(device), grid=grid, tolerance=1e-9, **parameters
    )
    assert solution.value.shape == (1, 1, 3, 321)
    # 1e-6: the walls cut off tails of exp(-k L/4).
    assert float((solution.value[:, 0].cpu() - exact).abs().max()) < 1e-6
    assert float((exact[:, 2] - exact[:, 0]).abs().max()) > 0.3


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_solution_agrees_with_a_dense_integration(law, grid):
    equation = FisherKPP(diffusivity=0.02, times=(1.0,), modes=6)
    start = equation.random_inputs(grid, generators(1))["initial"]
    n = grid.shape[0]
    # Cosines or Fourier modes through the points, differentiated by formula.
    k = np.arange(n) if not grid.periodic[0] else (np.arange(n) + 1) // 2
    kappa = (2 if grid.periodic[0] else 1) * np.pi / grid.lengths[0] * k
    basis = np.cos(kappa * grid.axis(0).numpy()[:, None])
    if grid.periodic[0]:
        basis[:, 2::2] = np.sin(kappa[2::2] * grid.axis(0).numpy()[:, None])
    second = basis @ np.diag(-(kappa**2)) @ np.linalg.inv(basis)
    found = scipy.integrate.solve_ivp(
        lambda t, u: 0.02 * second @ u + growth(*law, u), (0, 1), start[0].numpy(),
        method="DOP853", rtol=1e-10, atol=1e-12,
    ).y[:, -1]  # fmt: skip
    solution = equation.solve(initial=start, grid=grid, tolerance=1e-9, **encoded(law))
    assert relative(solution.value[0, 0, 0] - torch.from_numpy(found), solution.value) < 1e-8


def test_step_has_order_four():
    equation, grid = FisherKPP(diffusivity=0.02, modes=6), GRIDS[0]
    drawn = equation.random_inputs(grid, generators(1)) | encoded(("exponential", 9.0, 1.0))
    start = drawn.pop("initial")
    steps = [equation.step(start, 1.0, n, grid=grid, **drawn) for n in (16, 32, 64, 512)]
    errors = [relative(u - steps[-1], steps[-1]) for u in steps[:-1]]
    orders = [math.log2(errors[i] / errors[i + 1]) for i in range(2)]
    assert orders == pytest.approx([4.0, 4.0], abs=0.4)


def test_every_sample_of_a_batch_follows_its_own_law():
    equation, grid = FisherKPP(times=(0.5, 1.0), modes=8), GRIDS[0]
    drawn = equation.random_inputs(grid, generators(4)) | encoded(*LAWS)
    together = equation.solve(grid=grid, **drawn).value
    for i in range(4):
        alone = equation.solve(grid=grid, **{name: v[i : i + 1] for name, v in drawn.items()})
        torch.testing.assert_close(together[i], alone.value[0], rtol=1e-12, atol=1e-13)


def test_nothing_crosses_the_walls():
    equation = FisherKPP(diffusivity=0.5, times=(1.0,), modes=8)
    for grid in GRIDS:
        start = equation.random_inputs(grid, generators(1))["initial"]
        still = encoded(("logistic", 0.0, 0.0))
        value = equation.solve(initial=start, grid=grid, **still).value[0, 0, 0]
        # The trapezoidal rule is exact for cosines on nodes, the mean is on cells and circles.
        weights = torch.ones_like(value)
        if grid.placement == "node" and not grid.periodic[0]:
            weights[0] = weights[-1] = 0.5
        expected = float((weights * start[0]).sum())
        assert float((weights * value).sum()) == pytest.approx(expected, rel=1e-12)


def test_residual_of_a_wave_vanishes_with_second_order():
    equation, sizes = FisherKPP(diffusivity=0.5), []
    for n in (101, 201):
        space_time = Grid((n, 2 * n), (2.0, 40.0), False)
        times = tuple(space_time.axis(0).tolist())
        wave = equation.wave(Grid((2 * n,), 40.0, False), times, form="allee", rate=1.0, shape=0.2)
        residual = equation.residual(
            lambda u, o, grid=space_time: difference.derivative(u, o, grid), wave,
            **encoded(("allee", 1.0, 0.2)),
        )  # fmt: skip
        sizes.append(float(residual.abs().max()))
    assert sizes[0] < 1e-2 and math.log2(sizes[0] / sizes[1]) == pytest.approx(2.0, abs=0.2)


def test_step_is_differentiable():
    grid = Grid((5,), 1.0, False)
    state = torch.rand(4, 5, generator=generators(1)[0], dtype=torch.float64).requires_grad_()
    torch.autograd.gradcheck(
        lambda u: FisherKPP().step(u, 0.3, 2, grid=grid, **encoded(*LAWS)), state
    )


def test_relative_residual_is_small_for_the_solution_and_only_for_it():
    equation, grid = FisherKPP(times=(0.5, 1.0), modes=8), GRIDS[1]
    drawn = equation.random_inputs(grid, generators(3))
    density = equation.solve(grid=grid, **drawn).value[:, 0]
    assert float(equation.relative_residual(density, grid=grid, **drawn).max()) < 1e-6
    other = drawn | {"linear": 2 * drawn["linear"]}
    assert float(equation.relative_residual(density, grid=grid, **other).min()) > 1e-2


def test_random_laws_have_the_published_shares_and_values():
    grid = Grid((4,), 1.0, False)
    drawn = FisherKPP(modes=2).random_inputs(grid, generators(400))
    shares = torch.bincount(drawn["form"].long(), minlength=4) / 400
    assert shares.tolist() == pytest.approx([0.25, 0.25, 0.5, 0.0], abs=0.08)
    logistic = drawn["linear"][drawn["form"] == 0]
    assert logistic.unique().tolist() == pytest.approx([i / 10 for i in range(1, 11)])
    c1, c2 = (drawn[name][drawn["form"] == 2] for name in ("linear", "quadratic"))
    steepness = (1 + c2 / c1).sort().values
    assert float(steepness[0]) == pytest.approx(0.5) and float(steepness[-1]) == pytest.approx(2.0)
    assert float(drawn["initial"].min()) > 0 and float(drawn["initial"].max()) < 1


def test_a_generator_gives_the_same_sample_on_a_finer_grid():
    fine = Grid((65,), 1.0, False)
    on_fine = FisherKPP(modes=20).random_inputs(fine, generators(3))
    on_coarse = FisherKPP(modes=20).random_inputs(fine.strided(8), generators(3))
    assert all(torch.equal(on_fine[name], on_coarse[name]) for name in FisherKPP.parameters)
    torch.testing.assert_close(on_fine["initial"][:, ::8], on_coarse["initial"])


def test_check_names_suspicious_samples():
    u = torch.full((3, 2, 8), 0.5)
    u[1, 1, 3], u[2, 0, 0] = -0.1, 1.2
    found = FisherKPP().check({"initial": u[:, 0].clamp(max=1), "density": u}, GRIDS[0])
    assert {name: flags.tolist() for name, flags, _ in found} == {
        "positive density": [False, True, False],
        "maximum principle": [False, False, True],
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_solution_has_the_dtype_of_the_initial_density(dtype):
    equation, grid = FisherKPP(times=(1.0,), modes=8), GRIDS[0]
    drawn = equation.random_inputs(grid, generators(1))
    exact = equation.solve(grid=grid, **drawn).value
    value = equation.solve(grid=grid, **{k: v.to(dtype) for k, v in drawn.items()}).value
    assert value.dtype == dtype and relative(value - exact, exact) < 1e-6


def test_missing_convergence_is_an_error():
    equation, grid = FisherKPP(times=(50.0,), modes=8), GRIDS[0]
    with pytest.raises(ConvergenceError, match="record more often"):
        equation.solve(grid=grid, max_substeps=2, **equation.random_inputs(grid, generators(1)))


def test_equation_is_rebuilt_from_json():
    law = FisherKPP(forms=("allee",), times=(0.5, 1.0))
    assert FisherKPP(**json.loads(json.dumps(dataclasses.asdict(law)))) == law


@pytest.mark.parametrize(
    ("grid", "parameters", "message"),
    [
        (Grid((8, 8), 1.0, False), encoded(LAWS[0]), "expected one axis"),
        (Grid((8,), 1.0, False, offset=0.01), encoded(LAWS[0]), "stores its walls"),
        (Grid((9,), 1.0, False), encoded(LAWS[0]), r"state has shape \(1, 8\)"),
        (Grid((8,), 1.0, False), {"linear": torch.ones(1)}, "FisherKPP.encoding makes them"),
    ],
    ids=str,
)
def test_wrong_grids_and_parameters_are_refused(grid, parameters, message):
    with pytest.raises(ValueError, match=message):
        FisherKPP().solve(initial=torch.ones(1, 8), grid=grid, **parameters)


def test_wrong_constants_are_refused():
    with pytest.raises(ValueError, match="forms is"):
        FisherKPP(forms=())
    with pytest.raises(ValueError, match=r"diffusivity is 0\.0"):
        FisherKPP(diffusivity=0.0)
    with pytest.raises(ValueError, match="expected numbers > 0"):
        FisherKPP(rates=(0.0,))
    with pytest.raises(ValueError, match="no formula known"):
        FisherKPP().wave(GRIDS[0], (0.0,), form="exponential", rate=1.0)
