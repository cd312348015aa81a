import math

import numpy as np
import pytest
import torch
from torch import nn

from pdesolve import Grid
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    Member,
    Mixture,
    Pairs,
    Window,
    open_dataset,
)
from pdesolve.evaluation import rollout_errors, semigroup_defects

FRAMES = 51


@pytest.fixture
def decay(tmp_path):
    """Open three trajectories e^-t u_0 of 50 steps."""
    times = tuple(0.1 * k for k in range(FRAMES))
    spec = DatasetSpec(
        "decay", Grid((6,), 1.0, True), (FieldSpec("u", "output", time_varying=True),), times
    )
    random = np.random.default_rng(0)
    with DatasetWriter(tmp_path / "d.h5", spec, 3, provenance={}, dtype="float64") as writer:
        for index in range(3):
            u = np.exp(-np.array(times))[:, None] * random.normal(size=6)
            writer.write(index, {"u": u}, seed=index)
        path = writer.finish()
    return lambda window: open_dataset(path, window=window, dtype=torch.float64)


class Power(nn.Module):
    """exp(-t^power) u: a semi-group for power 1 alone."""

    def __init__(self, power):
        super().__init__()
        self.power = power

    def forward(self, x, condition):
        return x * torch.exp(-(condition[:, :1] ** self.power))[..., None]


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("hops", [None, [10, 15, 25], [1] * 50])
def test_the_defect_is_that_of_the_formula(decay, power, hops):
    leads = [0.1 * hop for hop in hops or [25, 25]]
    expected = abs(math.exp(-sum(t**power for t in leads) + 5.0**power) - 1)
    defects = semigroup_defects(Power(power), decay(Pairs("all2all")), hops=hops, batch_size=2)
    assert defects.shape == (3,)
    np.testing.assert_allclose(defects, expected, rtol=1e-6, atol=1e-6)


def test_fifty_steps_report_their_error_at_each_time(decay):
    errors = rollout_errors(Power(1.0), decay(Pairs("all2all")))
    assert errors.l2.shape == (3, 50)
    assert errors.l2.max() < 1e-6
    with pytest.raises(ValueError, match="model Identity takes no condition"):
        rollout_errors(nn.Identity(), decay(Pairs("all2all")))


@pytest.mark.parametrize("hops", [[60], [25, 24]])
def test_steps_that_end_elsewhere_are_refused(decay, hops):
    with pytest.raises(ValueError, match="whose sum is 50"):
        semigroup_defects(Power(1.0), decay(Pairs("all2all")), hops=hops)


def test_data_without_lead_time_are_refused(decay):
    with pytest.raises(ValueError, match="expected lead_time first"):
        semigroup_defects(Power(1.0), decay(Window(1, 1)))


def test_channels_that_are_not_judged_do_not_count(decay):
    member = Member(decay(Pairs("all2all")), filled={"p": 5.0}, unseen=("p",))
    (alone,) = Mixture([member], quantities=("u", "p")).alone()
    expected = abs(math.exp(-2 * 2.5**2 + 5.0**2) - 1)
    np.testing.assert_allclose(semigroup_defects(Power(2.0), alone), expected, rtol=1e-5)
