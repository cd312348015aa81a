import math

import pytest
import torch

from pdesolve import Batch, Grid
from pdesolve.losses import RelativeL2
from pdesolve.training import ByTask

# Targets 1 and predictions 1 + error, so that the relative error of a sample is its error.
ERRORS = torch.tensor([0.1, 0.3, 0.4])
TASKS = torch.tensor([2.0, 2.0, 0.0])


def batch():
    condition = torch.stack([TASKS, torch.zeros(3)], 1)
    x = ERRORS[:, None, None].expand(3, 1, 4)
    return Batch(x, torch.ones(3, 1, 4), Grid((4,), 1.0, True), condition, ("form", "rate"))


class OffByX(torch.nn.Module):
    def forward(self, x, condition):
        return 1 + x


off_by_x = OffByX()


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [("equal", (0.2 + 0.4) / 2), ("uncertainty", (math.log(0.2) + math.log(0.4)) / 4)],
)
def test_each_task_counts_as_much_as_the_others(weighting, expected):
    value = ByTask("form", weighting)(off_by_x, batch(), RelativeL2())
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_uncertainty_is_the_weighted_sum_at_its_best_noise_levels():
    losses = torch.tensor([0.2, 0.4])
    log_variance = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_variance], max_iter=100, tolerance_grad=1e-10)

    def closure():
        optimizer.zero_grad()
        value = (losses / (2 * log_variance.exp()) + log_variance / 2).mean()
        value.backward()
        return value

    optimizer.step(closure)
    # The objective leaves out the constant ½.
    expected = closure().item() - 0.5
    value = ByTask("form", "uncertainty")(off_by_x, batch(), RelativeL2())
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_samples_without_that_parameter_are_refused():
    with pytest.raises(ValueError, match="task is 'law', expected one of"):
        ByTask("law")(off_by_x, batch(), RelativeL2())


def test_a_loss_that_knows_no_samples_is_refused():
    with pytest.raises(ValueError, match="expected one with per_sample"):
        ByTask("form")(off_by_x, batch(), torch.nn.functional.mse_loss)
