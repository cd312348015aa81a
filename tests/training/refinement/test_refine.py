import dataclasses
from functools import cache

import pytest
import torch

from pdesolve import Grid
from pdesolve.layers.correction import SpectralCorrection, window
from pdesolve.ops import fourier
from pdesolve.pde import Beam, Burgers1d, Darcy, FisherKPP, NavierStokes2d
from pdesolve.training import Tuning, refine

STEP = 0.2
GRID = Grid((24, 24), 1.0, True)
EQUATION = NavierStokes2d(modes=12)


@cache
def case():
    """Forced flow: known states (3, 1, 2, *grid), truth and a prediction that is 3 % wrong."""
    generators = [torch.Generator().manual_seed(i) for i in range(3)]
    (state,) = EQUATION.random_inputs(GRID, generators).values()
    states = [state]
    for _ in range(11):
        states.append(EQUATION.step(states[-1], STEP, 4, grid=GRID))
    frames = torch.stack(states, 1)[:, None]
    truth = frames[:, :, 2:]
    noise = fourier.truncate(
        torch.randn(truth.shape, dtype=torch.float64, generator=generators[0]), (9, 9)
    )
    return frames[:, :, :2], truth, truth + 0.03 * truth.norm() / noise.norm() * noise


def refined(prediction=None, **options):
    history, _, wrong = case()
    given = wrong if prediction is None else prediction
    return refine(given, EQUATION, grid=GRID, history=history, step=STEP, **options)


def errors(value):
    truth = case()[1]
    return (value - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1)


def test_estimate_is_the_error_and_leaves_the_prediction():
    found = refined(method="estimate")
    assert torch.equal(found.value, case()[2])
    ratio = found.stats["estimate"] / errors(found.value)
    assert bool(((ratio > 0.95) & (ratio < 1.10)).all())
    assert found.stats["estimate/slices"].shape == (3, 10)
    assert not bool(found.stats["refined"].any())


def test_one_sweep_leaves_a_fourth_of_the_error_and_a_tenth_of_the_residual():
    found = refined()
    assert bool((errors(found.value) < 0.25 * errors(case()[2])).all())
    assert bool((found.stats["residual"] < 0.1 * found.stats["residual/before"]).all())


def test_tolerances_are_met_and_certified():
    for tolerance in (1e-2, 1e-3):
        found = refined(tolerance=tolerance)
        assert bool(found.converged.all())
        assert bool((errors(found.value) <= 1.05 * tolerance).all())


def test_waves_that_the_solver_drops_are_errors_too():
    _, truth, _ = case()
    wave = 0.2 * torch.cos(2 * torch.pi * 11 * GRID.coordinates()[0])
    found = refined(truth + wave, method="estimate")
    ratio = found.stats["estimate"] / errors(truth + wave)
    assert bool(((ratio > 0.98) & (ratio < 1.02)).all())
    swept = refined(truth + wave, tolerance=1e-2)
    assert swept.stats["refined"].tolist() == [1, 1, 1]
    assert bool((errors(swept.value) < 1e-2).all())


def test_rough_estimates_are_certified_with_a_margin():
    found = refined(coarse=None, tolerance=1e-2)
    assert torch.equal(found.converged, found.stats["estimate"] <= 1e-2)
    good = refined(case()[1], coarse=None, tolerance=1e-2)
    assert torch.equal(good.stats["estimate"], good.stats["estimate/before"])
    assert bool(good.converged.all())


def test_nan_stays_where_it_is_and_is_told():
    _, _, wrong = case()
    broken = wrong.clone()
    broken[1, 0, 3, 2, 2] = torch.nan
    found = refined(broken)
    assert found.converged.tolist() == [True, False, True]
    assert found.stats["refined"].tolist() == [1, 0, 1]
    assert int(found.value[1].isnan().sum()) == 1
    assert "not finite" in found.message


def test_good_predictions_are_accepted_as_they_are():
    _, truth, wrong = case()
    mixed = torch.cat([wrong[:1], truth[1:]])
    found = refined(mixed, tolerance=1e-2)
    assert torch.equal(found.value[1:], mixed[1:])
    assert found.stats["refined"].tolist() == [1, 0, 0]


def test_wild_prediction_is_returned_untouched_when_nothing_is_gained():
    wild = 50 * torch.randn(case()[1].shape, dtype=torch.float64)
    found = refined(wild, coarse=None)
    rejected = found.stats["refined"] == 0
    assert torch.equal(found.value[rejected], wild[rejected])


@pytest.mark.parametrize("steps", [2, 4])
def test_block_is_exact_after_as_many_sweeps_as_steps(steps):
    # Of one step the defect is the error; each further sweep makes one more step exact.
    own = refined(iterations=1, coarse=1.0).value
    found = refined(coarse=None, block=steps, iterations=steps)
    assert (found.value - own).abs().max() < 1e-11 * own.abs().max()


def test_layer_behind_the_operator_holds_the_refined_trajectory():
    history, _, wrong = case()
    found = refined().value
    seen = window(history[:1, :, -1], wrong[:1])
    layer = SpectralCorrection(1, 1, seen.shape[2:]).double().store((found - wrong)[0])
    again = wrong[:1] + layer(seen)[:, :, -wrong.shape[2] :]
    assert (again - found[:1]).abs().max() < 1e-12 * found.abs().max()


def test_tuning_a_field_for_a_few_iterations():
    found = refined(method="tune", iterations=8, tuning=Tuning())
    assert bool((errors(found.value) < 0.5 * errors(case()[2])).all())
    assert found.stats["iterations"].tolist() == [8, 8, 8]


def test_coarse_prediction_is_refined_on_the_grid_of_the_history():
    coarse = fourier.resample(case()[2], (16, 16))
    found = refined(coarse)
    assert found.value.shape == case()[1].shape
    assert bool((errors(found.value) < 0.3 * errors(fourier.resample(coarse, (24, 24)))).all())


def test_result_has_the_dtype_of_the_prediction(device):
    history, _, wrong = case()
    found = refine(
        wrong.float().to(device), EQUATION, grid=GRID, history=history.float().to(device),
        step=STEP,
    )  # fmt: skip
    assert found.value.dtype == torch.float32
    assert found.stats["estimate"].dtype == torch.float64


def test_given_forcing_is_used():
    forced = dataclasses.replace(EQUATION, forcing="input")
    history, _, wrong = case()
    force = EQUATION.forcing_field(GRID).expand(3, 24, 24)
    found = refine(wrong, forced, grid=GRID, history=history, step=STEP, given={"forcing": force})
    torch.testing.assert_close(found.value, refined().value, rtol=0, atol=1e-12)


def test_line_between_walls_is_refined_by_the_equation_itself():
    grid, equation = Grid((33,), 1.0, False), FisherKPP(times=(0.1, 0.2, 0.3))
    inputs = equation.random_inputs(grid, [torch.Generator().manual_seed(4)])
    truth = equation.solve(**inputs, grid=grid).value
    start = inputs.pop("initial")
    wrong = truth * 1.02
    found = refine(wrong, equation, grid=grid, history=start[:, None, None], step=0.1, given=inputs)
    assert (found.value - truth).norm() < 1e-4 * truth.norm()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"step": 0.0}, "the time from a state to the next"),
        ({"history": torch.zeros(3, 2, 1, 24, 24)}, "where the prediction starts"),
        ({"history": torch.full((3, 1, 2, 24, 24), torch.nan)}, "finite known states"),
        ({"block": 2, "method": "estimate"}, "blocks are of sweeps"),
        ({"tolerance": 0.0}, "a relative error > 0"),
        ({"coarse": 2.0}, "a share of the points"),
        ({"iterations": 0}, "iterations is 0, expected 1 or more"),
        ({"block": -1}, "block is -1"),
        ({"equation": Beam()}, "neither step and substeps nor correction"),
        ({"history": None}, "expected history and step: it evolves"),
        ({"prediction": torch.zeros(3, 2, 9, 24, 24)}, "one unknown"),
        ({"history": torch.zeros(3, 1, 2, 12, 12)}, "where the prediction starts"),
        ({"history": torch.zeros(2, 1, 2, 24, 24)}, "2 samples"),
        ({"method": "tune", "tuning": Tuning("last_layer")}, "model=operator, inputs=x"),
        ({"equation": Darcy(), "grid": Grid((24, 24), 1.0, False)}, "it is steady"),
    ],
)
def test_what_cannot_be_refined_is_refused(options, words):
    history, _, wrong = case()
    arguments = {
        "prediction": wrong, "equation": EQUATION, "grid": GRID, "history": history, "step": STEP,
    } | options  # fmt: skip
    with pytest.raises(ValueError, match=words):
        refine(arguments.pop("prediction"), arguments.pop("equation"), **arguments)


def test_tuning_a_steady_equation_is_refused():
    grid, equation = Grid((9, 9), 1.0, False), Darcy()
    given = equation.random_inputs(grid, [torch.Generator().manual_seed(0)])
    with pytest.raises(ValueError, match="solves for the whole error"):
        refine(torch.zeros(1, 1, 9, 9), equation, grid=grid, given=given, method="tune")


def test_advected_shock_of_burgers_is_estimated_better_with_the_equation_than_without():
    grid, equation = Grid((64,), 1.0, True), Burgers1d(viscosity=0.005, modes=6)
    (start,) = equation.random_inputs(grid, [torch.Generator().manual_seed(8)]).values()
    states = [start]
    for _ in range(10):
        states.append(equation.step(states[-1], 0.1, 16, grid=grid))
    truth = torch.stack(states[1:], 1)[:, None]
    wrong = truth + 0.02 * truth.std() * torch.sin(2 * torch.pi * grid.axis(0))
    found = {}
    for coarse in (None, 0.5):
        solution = refine(
            wrong, equation, grid=grid, history=start[:, None, None], step=0.1,
            method="estimate", coarse=coarse,
        )  # fmt: skip
        true = (wrong - truth).norm() / truth.norm()
        found[coarse] = abs(float(solution.stats["estimate"] / true) - 1)
    assert found[0.5] < found[None]
