import pytest
import torch

from pdesolve import Grid
from pdesolve.pde import Darcy, Helmholtz2d, Poisson
from pdesolve.training.refinement.steady import Steady
from pdesolve.training.refinement.sweep import judged


@pytest.mark.parametrize(
    ("equation", "placement"),
    [(Darcy(), "node"), (Darcy(), "cell"), (Poisson(), "node"), (Poisson(), "cell"),
     (Helmholtz2d(), "node")],
)  # fmt: skip
def test_correction_leads_to_the_discrete_solution(equation, placement, generator):
    grid = Grid((15, 13), (1.0, 0.8), False, placement)
    given = equation.random_inputs(grid, [torch.Generator().manual_seed(i) for i in (1, 2)])
    truth = equation.solve(**given, grid=grid).value[:, 0]
    wrong = truth + 0.1 * truth.std() * torch.randn(
        truth.shape, dtype=torch.float64, generator=generator
    )
    model = Steady(equation, grid, given)
    found = wrong + model.defects(wrong[:, None])[:, 0]
    # Darcy's iterations stop at one hundredth of the residual.
    assert (found - truth).norm() < 0.02 * (wrong - truth).norm()
    ratio = judged(model, wrong[:, None]).estimate * wrong.flatten(1).norm(dim=1)
    torch.testing.assert_close(ratio, (wrong - truth).flatten(1).norm(dim=1), rtol=0.02, atol=0)


def test_samples_keep_their_own_fields():
    grid, equation = Grid((9, 9), 1.0, False), Darcy()
    given = equation.random_inputs(grid, [torch.Generator().manual_seed(i) for i in range(3)])
    model = Steady(equation, grid, given).rows(torch.tensor([2]))
    assert torch.equal(model.given["coefficient"][0], given["coefficient"][2])


def test_darcy_with_a_mask_is_corrected_inside_and_emptied_outside(generator):
    grid, equation = Grid((17, 17), 1.0, False), Darcy()
    given = equation.random_inputs(grid, [torch.Generator().manual_seed(0)])
    x, y = grid.coordinates()
    given["mask"] = (((x - 0.5) ** 2 + (y - 0.5) ** 2) < 0.16).double()[None]
    truth = equation.solve(**given, grid=grid).value
    wrong = truth + 0.01 * torch.randn(truth.shape, dtype=torch.float64, generator=generator)
    found = wrong + Steady(equation, grid, given).defects(wrong)
    assert (found - truth).norm() < 0.02 * (wrong - truth).norm()
    assert not bool((found * (1 - given["mask"])).any())
