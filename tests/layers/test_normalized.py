import pytest
import torch
from torch import nn

from pdesolve.layers import Normalized


class Conditioned(nn.Module):
    def forward(self, x, condition=None):
        return x if condition is None else x * condition[:, :1, None]


def statistics(*values):
    return [torch.tensor(v) for v in values]


def test_fields_are_standardised_inside_and_physical_outside(device):
    seen = []

    class Watched(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x[:, :1]

    model = Normalized(Watched(), *statistics([1.0, 2.0], [2.0, 4.0], [10.0], [3.0])).to(device)
    x = torch.tensor([[[3.0, 1.0], [2.0, 6.0]]], device=device)
    y = model(x)
    torch.testing.assert_close(seen[0], torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], device=device))
    torch.testing.assert_close(y, torch.tensor([[[13.0, 10.0]]], device=device))


def test_standardised_outputs_are_those_of_the_operator_inside():
    model = Normalized(nn.Identity(), *statistics([0.0], [1.0], [10.0], [3.0]))
    inner = torch.randn(2, 1, 5)
    torch.testing.assert_close(model.standardised(model(inner)), inner)


def test_a_constant_channel_is_shifted_only():
    model = Normalized(nn.Identity(), *statistics([5.0], [0.0], [0.0], [1.0]))
    assert torch.equal(model(torch.full((1, 1, 4), 5.0)), torch.zeros(1, 1, 4))


def test_statistics_travel_in_the_state_dict():
    model = Normalized(nn.Identity(), *statistics([1.0], [2.0], [3.0], [4.0]))
    other = Normalized(nn.Identity(), *statistics([0.0], [1.0], [0.0], [1.0]))
    other.load_state_dict(model.state_dict())
    x = torch.randn(2, 1, 5)
    assert torch.equal(other(x), model(x))


def test_statistics_follow_the_default_dtype_and_double(generator):
    model = Normalized(nn.Conv1d(1, 1, 1), *statistics([1.0], [2.0], [3.0], [4.0]))
    wide = [s.double() for s in statistics([1.0], [2.0], [3.0], [4.0])]
    assert Normalized(nn.Conv1d(1, 1, 1), *wide)(torch.ones(1, 1, 4)).dtype == torch.float32
    assert model.double()(torch.ones(1, 1, 4, dtype=torch.float64)).dtype == torch.float64


def test_a_low_precision_output_gets_its_units_in_float32(device):
    model = Normalized(nn.Conv1d(1, 1, 1), *statistics([0.0], [1.0], [1000.0], [1.0])).to(device)
    x = torch.rand(1, 1, 64, device=device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        y = model(x)
    assert y.dtype == torch.float32
    # bfloat16 numbers near 1000 are 4 apart.
    assert (y - model(x)).abs().max() < 0.1


def test_the_condition_reaches_the_operator_only_when_there_is_one():
    model = Normalized(Conditioned(), *statistics([0.0], [1.0], [0.0], [1.0]))
    x = torch.ones(2, 1, 3)
    assert torch.equal(model(x), x)
    assert torch.equal(model(x, torch.tensor([[2.0], [3.0]]))[:, 0, 0], torch.tensor([2.0, 3.0]))
    with pytest.raises(TypeError):
        Normalized(nn.Identity(), *statistics([0.0], [1.0], [0.0], [1.0]))(x, torch.ones(2, 1))


def test_a_shift_of_an_operator_that_is_zero_on_the_boundary_is_refused():
    operator = nn.Identity()
    operator.zero_on_boundary = True
    with pytest.raises(ValueError, match="expected 0 for an operator whose output is zero"):
        Normalized(operator, *statistics([0.0], [1.0], [0.5], [1.0]))
    Normalized(operator, *statistics([0.5], [1.0], [0.0], [1.0]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (([0.0], [1.0, 1.0], [0.0], [1.0]), r"x_mean and x_std have shapes \(1,\) and \(2,\)"),
        (([0.0], [1.0], [0.0], [-1.0]), "y_mean .* is negative or not finite"),
        (([float("nan")], [1.0], [0.0], [1.0]), "check the data for NaN"),
    ],
)
def test_statistics_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Normalized(nn.Identity(), *statistics(*values))


def test_another_number_of_channels_is_refused():
    model = Normalized(nn.Identity(), *statistics([0.0], [1.0], [0.0], [1.0]))
    with pytest.raises(ValueError, match=r"x has shape \(1, 2, 4\), expected \(batch, 1 channels"):
        model(torch.ones(1, 2, 4))
    model = Normalized(nn.Identity(), *statistics([0.0], [1.0], [0.0, 0.0], [1.0, 1.0]))
    with pytest.raises(ValueError, match="the operator's output has shape"):
        model(torch.ones(1, 1, 4))
