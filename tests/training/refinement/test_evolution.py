import dataclasses

import pytest
import torch

from pdesolve import Grid
from pdesolve.ops import fourier
from pdesolve.pde import AllenCahn, Burgers1d, FisherKPP, NavierStokes2d
from pdesolve.training.refinement.evolution import Evolution, coarse_shape, tendency

STEP = 0.2


def flow(shape=(24, 20), frames=6):
    """The solver's own trajectory of forced flow, its anchor and what knows about its error."""
    grid = Grid(shape, 1.0, True)
    equation = NavierStokes2d(modes=12)
    (start,) = equation.random_inputs(grid, [torch.Generator().manual_seed(5)]).values()
    model = Evolution(equation, grid, STEP, start, substeps=2)
    state, states = model.kept(start[:, None])[:, 0], []
    for _ in range(frames):
        state = equation.step(state, STEP, 2, grid=grid)
        states.append(state)
    return model, torch.stack(states, 1)


def rows_of(model, coarse):
    return dataclasses.replace(model, coarse=coarse)


def relative(errors, states):
    return float(errors.norm() / states.norm())


def test_own_trajectory_has_no_defect():
    model, states = flow()
    assert relative(model.defects(states), states) < 1e-15


def test_estimates_name_the_error_of_a_disturbed_trajectory():
    model, states = flow()
    noise = fourier.truncate(torch.randn_like(states), (7, 7))
    wrong = states + 0.02 * noise / noise.norm() * states.norm()
    defects = model.defects(wrong)
    ratio = {
        coarse: relative(rows_of(model, coarse).errors(wrong, defects), wrong) / 0.02
        for coarse in (None, (12, 10), model.grid.shape)
    }
    assert 0.8 < ratio[None] < 1.6
    assert 0.95 < ratio[(12, 10)] < 1.10
    assert abs(ratio[model.grid.shape] - 1) < 2e-3


def test_persistence_and_prediction_are_told_apart_where_residuals_are_alike():
    model, states = flow(frames=10)
    frozen = model.anchor[:, None].expand_as(states)
    noise = fourier.truncate(torch.randn_like(states), (17, 17))
    wrong = states + 0.02 * noise / noise.norm() * states.norm()
    found = {}
    for name, guess in (("frozen", model.kept(frozen)), ("wrong", wrong)):
        defects = model.defects(guess)
        found[name] = (
            float(model.residual(guess, defects)), relative(model.errors(guess, defects), guess)
        )  # fmt: skip
    # Their rates of change differ by less than their errors.
    assert found["frozen"][1] / found["wrong"][1] > 2 * found["frozen"][0] / found["wrong"][0]


def test_unrelated_states_are_no_trajectory():
    model, states = flow()
    unrelated = model.kept(torch.randn_like(states) * states.std())
    assert relative(model.errors(unrelated, model.defects(unrelated)), unrelated) > 0.5


def test_finer_estimators_end_at_the_whole_grid():
    model, _ = flow((24, 20))
    first = rows_of(model, (12, 10))
    assert first.finer().coarse == (18, 16)
    assert first.finer().finer().coarse == (24, 20)
    assert first.finer().finer().finer() is None
    assert rows_of(model, None).finer() is None


def test_coarse_shapes_are_even_and_within_the_grid():
    assert coarse_shape(Grid((33, 8), 1.0, True), 0.5) == (18, 4)
    assert coarse_shape(Grid((33, 8), 1.0, True), 1.0) == (33, 8)


def test_wild_states_do_not_ask_for_endless_substeps():
    model, states = flow()
    assert model.stable(states).substeps <= 3
    assert model.stable(1e6 * states).substeps <= 8 * 3
    assert model.stable(torch.full_like(states, torch.nan)).substeps >= 1


def test_floor_is_the_error_of_the_time_steps():
    model, states = flow()
    finer = states[:, 0]
    truth = model.equation.step(model.anchor, STEP, 64, grid=model.grid)
    error = float((finer - truth).norm() / truth.norm())
    assert 0.3 < float(model.floor(states[:, :1])) / error < 3


@pytest.mark.parametrize("order", [4, 6])
def test_differences_in_time_agree_with_the_stepper_on_fine_records(order):
    grid = Grid((16, 16), 1.0, True)
    equation = NavierStokes2d(modes=8)
    (state,) = equation.random_inputs(grid, [torch.Generator().manual_seed(1)]).values()
    frames = [equation.step(state, 0.0, grid=grid)]
    for _ in range(9):
        frames.append(equation.step(frames[-1], 0.02, 2, grid=grid))
    frames = torch.stack(frames, 1)
    model = Evolution(equation, grid, 0.02, frames[:, 2])
    found = model.differences(frames[:, 3:], frames[:, :3], order=order)
    assert relative(found, frames[:, 3:]) < 1e-6
    wrong = frames[:, 3:] * torch.linspace(1, 1.01, 7, dtype=torch.float64)[None, :, None, None]
    assert relative(model.differences(wrong, frames[:, :3], order=order), wrong) > 1e-4


@pytest.mark.parametrize(
    ("equation", "grid"),
    [(Burgers1d(viscosity=0.02), Grid((33,), 1.0, True)),
     (AllenCahn(dims=2), Grid((16, 12), 1.0, True)),
     (NavierStokes2d(), Grid((16, 12), 1.0, True)),
     (FisherKPP(), Grid((33,), 1.0, True))],
)  # fmt: skip
def test_tendency_is_where_a_small_step_leads(equation, grid):
    inputs = equation.random_inputs(grid, [torch.Generator().manual_seed(3)])
    start = inputs.pop("initial")
    state = fourier.truncate(start, [7] * grid.dims)
    small = 1e-6
    reached = equation.step(state, small, 1, grid=grid, **inputs)
    slope = (reached - equation.step(state, 0.0, 1, grid=grid, **inputs)) / small
    found = tendency(equation, state, grid, inputs)
    torch.testing.assert_close(found, slope, rtol=0, atol=1e-3 * float(slope.abs().max()))


def test_walls_have_no_linear_propagator():
    equation, grid = FisherKPP(), Grid((17,), 1.0, False)
    inputs = equation.random_inputs(grid, [torch.Generator().manual_seed(0)])
    start = inputs.pop("initial")
    model = Evolution(equation, grid, 0.1, start, inputs, grid.shape)
    with pytest.raises(ValueError, match="walls"):
        model.integrated(start[:, None])
    assert model.errors(start[:, None], model.defects(start[:, None])).isfinite().all()
