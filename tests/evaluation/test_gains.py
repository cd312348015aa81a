import pytest
import torch

from pdesolve.datasets import from_arrays
from pdesolve.evaluation import (
    accuracy_gain,
    efficiency_gain,
    grouped_errors,
    median_error,
    scaling_exponent,
)
from pdesolve.layers import Normalized

POWER = {size: 2 * size**-0.5 for size in (1, 2, 4, 8, 16, 32, 64)}


@pytest.mark.parametrize("factor", [1.0, 3.7, 8.0])
def test_a_model_that_needs_a_share_of_the_samples_gains_that_factor(factor):
    model = {size: 2 * (factor * size) ** -0.5 for size in POWER}
    assert efficiency_gain(POWER, model, 64) == pytest.approx(factor)
    assert accuracy_gain(POWER, model, 64) == pytest.approx(factor**0.5)


def test_an_error_that_is_never_reached_gains_nothing():
    assert efficiency_gain(POWER, {1: 9.0, 64: 1.0}, 64) == 0.0


def test_an_error_that_is_reached_at_once_gains_all_samples():
    assert efficiency_gain(POWER, {1: 0.1, 64: 0.05}, 64) == 64.0


def test_a_size_that_was_not_trained_is_refused():
    with pytest.raises(ValueError, match="model was not trained on 64 samples, expected one of"):
        accuracy_gain(POWER, {1: 1.0}, 64)


def test_the_exponent_is_that_of_a_power_law():
    assert scaling_exponent(POWER) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="curve has 1 sizes"):
        scaling_exponent({1: 1.0})


def double(x):
    return 2 * x


def test_errors_of_quantities_are_ratios_of_mean_sizes(generator):
    x = torch.randn(5, 3, 4, 6, generator=generator)
    y = torch.randn(5, 3, 4, 6, generator=generator)
    errors = grouped_errors(double, from_arrays(x, y, periodic=(True, True)), (1, 2), batch_size=2)
    for group, part in enumerate((slice(0, 1), slice(1, 3))):
        wrong = (2 * x - y)[:, part].abs().mean((1, 2, 3)) / y[:, part].abs().mean((1, 2, 3))
        torch.testing.assert_close(errors[:, group].float(), wrong, rtol=1e-5, atol=1e-6)
    assert median_error(errors) == pytest.approx(float(errors.median(0).values.mean()))


def test_errors_of_normalised_fields_use_the_statistics_of_the_model(generator):
    x = torch.randn(4, 1, 6, generator=generator)
    y = 7 + 3 * torch.randn(4, 1, 6, generator=generator)
    zero, one = torch.zeros(1), torch.ones(1)
    model = Normalized(torch.nn.Identity(), zero, one, 7 * one, 3 * one)
    data = from_arrays(x, y, periodic=(True,))
    z = (y - 7) / 3
    expected = (x - z).abs().mean((1, 2)) / z.abs().mean((1, 2))
    errors = grouped_errors(model, data, (1,), normalized=True)[:, 0]
    torch.testing.assert_close(errors.float(), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="expected Normalized"):
        grouped_errors(double, data, (1,), normalized=True)


def test_a_quantity_that_no_sample_shows_is_left_out():
    errors = torch.tensor([[1.0, torch.nan], [3.0, torch.nan]], dtype=torch.float64)
    assert median_error(errors) == 2.0
