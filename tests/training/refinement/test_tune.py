import pytest
import torch
from torch import nn

from pdesolve import Grid
from pdesolve.layers import SpectralConv
from pdesolve.pde import Burgers1d
from pdesolve.training.refinement.evolution import Evolution
from pdesolve.training.refinement.tune import (
    FreeField,
    LastLayer,
    LayerBehind,
    Tuning,
    loss_of,
    tune,
)

STEP, STEPS = 0.05, 8
GRID = Grid((32,), 1.0, True)


def disturbed(walls=False):
    """A Burgers trajectory with a smooth error of 3 %: model, known states, truth, prediction."""
    equation = Burgers1d(viscosity=0.02, modes=8)
    (start,) = equation.random_inputs(GRID, [torch.Generator().manual_seed(2)]).values()
    states = [start]
    for _ in range(STEPS + 2):
        states.append(equation.step(states[-1], STEP, 4, grid=GRID))
    known, truth = torch.stack(states[:3], 1), torch.stack(states[3:], 1)
    x, t = GRID.axis(0), torch.linspace(0, 1, STEPS, dtype=torch.float64)[:, None]
    error = torch.sin(2 * torch.pi * x) * torch.cos(2 * t) + torch.cos(4 * torch.pi * x) * t
    wrong = truth + 0.03 * truth.norm() / error.norm() * error
    grid = Grid((32,), 1.0, not walls)
    return Evolution(equation, grid, STEP, known[:, -1], {}, (16,), 4), known, truth, wrong


def error(states, truth):
    return float((states - truth).norm() / truth.norm())


def tuned(trial, *, iterations=12, tolerance=None, **options):
    model, known, truth, _ = disturbed()
    with torch.no_grad():
        prediction = trial()
    found = tune(
        model, prediction, trial, tuning=Tuning(**options), iterations=iterations,
        tolerance=tolerance, known=known,
    )  # fmt: skip
    return found, error(found.best.states, truth)


def test_free_field_is_corrected_without_labels():
    _, _, _, wrong = disturbed()
    _, after = tuned(FreeField(wrong), iterations=8)
    assert after < 0.2 * 0.03


def test_integrated_defects_descend_further_than_plain_ones():
    _, _, _, wrong = disturbed()
    _, integrated = tuned(FreeField(wrong), iterations=5)
    _, plain = tuned(FreeField(wrong), iterations=5, integrated=False)
    assert integrated < 0.7 * plain


def test_layer_behind_a_prediction_is_as_good_as_the_field():
    model, _, _, wrong = disturbed()
    found, after = tuned(LayerBehind(model.anchor, wrong, None), iterations=8)
    assert after < 0.2 * 0.03
    torch.testing.assert_close(found.start.states, wrong)


class Operator(nn.Module):
    """Frames as channels, with a last spectral layer of four modes."""

    def __init__(self):
        super().__init__()
        self.spectral = SpectralConv(1, STEPS, (4,))

    def forward(self, x):
        return self.spectral(x)


def test_last_layer_is_widened_without_a_change_and_then_improved(generator):
    _, known, truth, _ = disturbed()
    torch.manual_seed(0)
    operator = Operator().double().requires_grad_(False)
    x = known[:, -1:]
    trial = LastLayer(lambda: operator(x), operator.spectral, None)
    assert torch.equal(trial(), operator(x))
    before = error(operator(x), truth)
    _, after = tuned(trial, iterations=10)
    assert after < 0.4 * before
    assert all(one.grad is None for one in operator.parameters())


def test_descent_stops_at_its_tolerance():
    _, _, _, wrong = disturbed()
    found, after = tuned(FreeField(wrong), tolerance=1e-2, iterations=50)
    assert int(found.iterations) < 10
    assert after < 1.05e-2


@pytest.mark.parametrize("order", [-1.0, 0.0, 1.0])
def test_loss_of_the_truth_is_zero(order):
    model, known, truth, wrong = disturbed()
    loss = loss_of(model, Tuning(order=order), known)
    assert float(loss(model.kept(truth))) < 1e-5 * float(loss(model.kept(wrong)))


def test_time_differences_may_stand_in_for_the_stepper():
    _, _, _, wrong = disturbed()
    # Differences over steps as long as these see the error, but are wrong by a third of it.
    _, after = tuned(FreeField(wrong), iterations=6, difference=4)
    assert after < 0.7 * 0.03


def test_integration_between_walls_is_refused():
    model, known, _, _ = disturbed(walls=True)
    with pytest.raises(ValueError, match="coarse=1"):
        loss_of(model, Tuning(), known)
