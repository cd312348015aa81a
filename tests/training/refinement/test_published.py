import pytest
import torch

from pdesolve import Grid
from pdesolve.operators import STFNO
from pdesolve.ops import fourier
from pdesolve.pde import NavierStokes2d
from pdesolve.training import Tuning, refine
from pdesolve.training.refinement.evolution import Evolution
from pdesolve.training.refinement.published import published_residual

GRID, STEP = Grid((32, 32), 1.0, True), 0.2
EQUATION = NavierStokes2d(modes=24)


def case():
    """A flow as the solver makes it, the same 1 % wrong in large scales, and unrelated states."""
    (state,) = EQUATION.random_inputs(GRID, [torch.Generator().manual_seed(3)]).values()
    states = []
    for _ in range(12):
        state = EQUATION.step(state, STEP, 4, grid=GRID)
        states.append(state)
    truth = torch.stack(states[2:], 1)
    t = torch.linspace(0, 6, 10, dtype=torch.float64)[:, None, None]
    x, y = (2 * torch.pi * c for c in GRID.coordinates())
    smooth = torch.cos(t) * torch.sin(x + 2 * y) + torch.sin(t) * torch.cos(3 * x)
    wrong = truth + 0.01 * truth.norm() / smooth.norm() * smooth
    unrelated = fourier.truncate(torch.randn_like(truth), (11, 11))
    unrelated = unrelated / unrelated.norm() * truth.norm()
    return Evolution(EQUATION, GRID, STEP, states[1], substeps=4), truth, wrong, unrelated


def test_honest_residual_tells_truth_from_errors_and_the_published_one_does_not():
    torch.manual_seed(0)
    model, truth, wrong, unrelated = case()
    honest, published = [], []
    for states in (truth, wrong, unrelated):
        honest.append(float(model.residual(states, model.defects(states))))
        blind = published_residual(model, states) * STEP
        published.append(float(model.residual(states, blind)))
    assert honest[0] <= 1e-5
    assert honest[1] >= 5e-4
    assert honest[2] > 20 * honest[1]
    # Rounding over 2e-6 is all that is left of it, even of states without any relation.
    assert max(published) < 1e-6


@pytest.fixture
def operator():
    torch.manual_seed(1)
    return STFNO(2, 10, (4, 6, 6), 4, latent_steps=4, layers=2)


def test_published_refinement_ends_at_its_last_iterate(operator):
    model, *_ = case()
    x = torch.stack([model.anchor, model.anchor], 1).float()
    with torch.no_grad():
        prediction = operator(x)[:, None]
    found = refine(
        prediction, EQUATION, grid=GRID, history=model.anchor[:, None, None], step=STEP,
        method="published", iterations=2, model=operator, inputs=x,
    )  # fmt: skip
    assert found.stats["iterations"].tolist() == [2]
    assert found.stats["refined"].tolist() == [1]
    assert all(one.grad is None for one in operator.parameters())


def test_last_layer_of_the_operator_is_tuned_by_honest_defects(operator):
    model, truth, _, _ = case()
    x = torch.stack([model.anchor, model.anchor], 1).float()
    with torch.no_grad():
        prediction = operator(x)[:, None]
    found = refine(
        prediction, EQUATION, grid=GRID, history=model.anchor[:, None, None], step=STEP,
        method="tune", iterations=6, model=operator, inputs=x, tuning=Tuning("last_layer"),
    )  # fmt: skip
    before = (prediction[:, 0] - truth).norm()
    assert (found.value[:, 0] - truth).norm() < 0.5 * before


def test_inputs_of_another_prediction_are_refused(operator):
    model, *_ = case()
    x = torch.stack([model.anchor, model.anchor], 1).float()
    with torch.no_grad():
        prediction = operator(x)[:, None]
    options = {
        "grid": GRID,
        "history": model.anchor[:, None, None],
        "step": STEP,
        "model": operator,
    }
    with pytest.raises(ValueError, match="away from prediction"):
        refine(2 * prediction, EQUATION, **options, method="published", inputs=x)
    with pytest.raises(ValueError, match="as many values"):
        refine(prediction[:, :, :5], EQUATION, **options, method="published", inputs=x)
