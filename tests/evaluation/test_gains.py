import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    Member,
    Mixture,
    Pairs,
    from_arrays,
    open_dataset,
)
from pdesolve.evaluation import (
    accuracy_gain,
    efficiency_gain,
    final_errors,
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


class Decay(torch.nn.Module):
    """Each quantity falls to its share of itself in a frame's time of 0.5."""

    def __init__(self, *shares):
        super().__init__()
        self.shares = torch.tensor(shares, dtype=torch.float64)[:, None]

    def forward(self, x, condition):
        return x * self.shares ** (2 * condition[:, :1, None])


@pytest.fixture
def decays(tmp_path):
    """Open three trajectories 0.5^k u, 0.8^k v of five frames, and return their starts."""
    fields = tuple(FieldSpec(name, "output", time_varying=True) for name in ("u", "v"))
    times = tuple(0.5 * k for k in range(5))
    spec = DatasetSpec("decays", Grid((6,), 1.0, True), fields, times)
    starts = np.random.default_rng(0).normal(size=(3, 2, 6))
    u, v = (share ** np.arange(5)[:, None] for share in (0.5, 0.8))
    with DatasetWriter(tmp_path / "d.h5", spec, 3, provenance={}, dtype="float64") as writer:
        for k, (one, other) in enumerate(starts):
            writer.write(k, {"u": u * one, "v": v * other}, seed=k)
        path = writer.finish()
    data = open_dataset(path, window=Pairs("all2all"), dtype=torch.float64)
    return data, torch.tensor(starts)


@pytest.mark.parametrize("hops", [None, [4], [1, 3]])
def test_final_errors_are_those_of_the_formula_at_the_last_time(decays, hops):
    data, _ = decays
    errors = final_errors(Decay(0.6, 0.8), data, (1, 1), hops=hops)
    expected = torch.tensor([[1.2**4 - 1, 0.0]] * 3, dtype=torch.float64)
    torch.testing.assert_close(errors, expected, rtol=1e-6, atol=1e-6)


def test_final_errors_of_normalised_fields_are_taken_there(decays):
    data, start = decays
    zero, one, two = torch.zeros(2).double(), torch.ones(2).double(), 2 * torch.ones(2).double()
    model = Normalized(Shifted(Decay(0.6, 0.8)), zero, one, one, two)
    errors = final_errors(model, data, (1, 1), normalized=True)[:, 0]
    wrong = ((0.6**4 - 0.5**4) * start[:, 0] / 2).abs().mean(1)
    expected = wrong / ((0.5**4 * start[:, 0] - 1) / 2).abs().mean(1)
    torch.testing.assert_close(errors, expected, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="expected Normalized"):
        final_errors(Decay(0.6, 0.8), data, (1, 1), normalized=True)


class Shifted(torch.nn.Module):
    """What `Normalized` makes of this with the mean 1 and deviation 2 is the inner map."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, condition):
        return (self.inner(x, condition) - 1) / 2


def test_a_quantity_that_is_not_judged_has_no_final_error(decays):
    member = Member(decays[0], unseen=("v",))
    errors = final_errors(Decay(0.6, 0.3), Mixture([member]).alone()[0], (1, 1))
    assert errors[:, 1].isnan().all()
    assert median_error(errors) == pytest.approx(1.2**4 - 1, rel=1e-6)
