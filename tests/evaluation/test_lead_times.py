import pytest
import torch
from torch import nn

from pdesolve.evaluation import roll
from pdesolve.evaluation.lead_times import check_takes_condition
from pdesolve.layers import Normalized
from pdesolve.operators import TFNO, ScOT


class Decay(nn.Module):
    """u exp(-rate t), the rate being the second number of the condition."""

    def forward(self, x, condition=None):
        exponent = condition[:, 0] * condition[:, 1]
        return x[:, 1:] * torch.exp(-exponent).reshape(-1, 1, 1)


def test_a_rollout_follows_its_lead_times_and_carries_fixed_channels(generator):
    x = torch.randn(3, 2, 6, generator=generator, dtype=torch.float64)
    rate = torch.tensor([[1.0], [2.0], [0.5]], dtype=torch.float64)
    leads = [0.1, 0.4, 0.2]
    states = roll(Decay(), x, leads, condition=rate, fixed=1)
    assert states.shape == (3, 3, 1, 6)
    for k, time in enumerate((0.1, 0.5, 0.7)):
        expected = x[:, 1:] * torch.exp(-time * rate)[..., None]
        torch.testing.assert_close(states[:, k], expected, rtol=1e-12, atol=1e-12)


def test_fifty_steps_of_a_transformer_are_finite(generator):
    torch.manual_seed(0)
    model = ScOT(1, 1, 6, (2,), (3,), skips=(0,), window=2)
    with torch.no_grad():
        states = roll(model, torch.randn(1, 1, 8, 8, generator=generator), [0.02] * 50)
    assert states.shape == (1, 50, 1, 8, 8)
    assert states.isfinite().all()


def test_a_rollout_without_calls_is_refused(generator):
    with pytest.raises(ValueError, match="leads is empty"):
        roll(Decay(), torch.randn(3, 2, 6, generator=generator), [], condition=torch.ones(3, 1))


class Foreign(nn.Module):
    def forward(self, x, output_shape=None):
        return x


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_model_without_condition_is_refused_before_it_is_called(wrapped):
    zero, one = torch.zeros(1), torch.ones(1)
    model = Normalized(Foreign(), zero, one, zero, one) if wrapped else Foreign()
    with pytest.raises(ValueError, match="model Foreign takes no condition"):
        roll(model, torch.ones(1, 1, 4), [0.5])


def test_an_operator_that_refuses_conditions_says_so():
    with pytest.raises(ValueError, match="TFNO takes no parameters"):
        roll(TFNO(1, 1, (4,), 4, 1), torch.ones(1, 1, 8), [0.5] * 50)


def test_functions_may_name_their_arguments_as_they_like():
    check_takes_condition(lambda u, t: u)
