"""Truth decays as u_k = b^k u_0; a model that multiplies by a errs by |(a/b)^k - 1|."""

import numpy as np
import pytest
import torch
from torch import nn

from pdesolve import Grid
from pdesolve.datasets import (
    AtTimes,
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    Member,
    Mixture,
    Pairs,
    SchemaError,
    Window,
    open_dataset,
)
from pdesolve.evaluation import rollout_errors

FRAMES, SPACING = 7, 0.5
TRUE, WRONG = 0.8, 0.9


@pytest.fixture
def decay(tmp_path):
    """Open five trajectories of two components with a window; the rate is a condition too."""
    fields = (FieldSpec("u", "output", time_varying=True, order=1), FieldSpec("f", "input"))
    grid = Grid((5, 4), 1.0, True)
    times = tuple(1 + SPACING * k for k in range(FRAMES))
    spec = DatasetSpec("decay", grid, fields, times=times, parameters=("rate",))
    random = np.random.default_rng(0)
    with DatasetWriter(tmp_path / "d.h5", spec, 5, provenance={}, dtype="float64") as writer:
        for index in range(5):
            start = random.normal(size=(5, 4, 2))
            u = TRUE ** np.arange(FRAMES)[:, None, None, None] * start
            fields_of = {"u": u, "f": np.full((5, 4), 3.0)}
            writer.write(index, fields_of, seed=index, parameters={"rate": 1.0})
        path = writer.finish()
    return lambda window: open_dataset(path, window=window, dtype=torch.float64)


class Factor(nn.Module):
    """Each of `calls` next frames is the newest one times a power of a factor."""

    def __init__(self, factor, outputs=1):
        super().__init__()
        self.factor, self.outputs = factor, outputs

    def forward(self, x, condition=None):
        assert condition.shape[1] == 1
        return torch.cat([self.factor ** (k + 1) * x[:, -2:] for k in range(self.outputs)], 1)


def expected(steps, ratio=WRONG / TRUE):
    return np.abs(ratio ** np.asarray(steps) - 1)


@pytest.mark.parametrize("batch_size", [2, 32])
@pytest.mark.parametrize("fixed", [True, False])
def test_errors_grow_as_the_powers_of_the_ratio(decay, fixed, batch_size):
    dataset = decay(Window(2, 1, fixed=fixed))
    errors = rollout_errors(Factor(WRONG), dataset, batch_size=batch_size)
    assert errors.times == (2.0, 2.5, 3.0, 3.5, 4.0)
    assert errors.l2.shape == (5, 5)
    assert np.allclose(errors.l2, expected(range(1, 6)), rtol=1e-12)
    assert np.allclose(errors.persistence, expected(range(1, 6), 1 / TRUE), rtol=1e-12)
    weights = TRUE ** np.arange(1, 6)
    whole = np.linalg.norm(expected(range(1, 6)) * weights) / np.linalg.norm(weights)
    assert np.allclose(errors.whole, whole, rtol=1e-12)


def test_several_frames_a_call_are_called_as_often_as_they_fit(decay):
    errors = rollout_errors(Factor(WRONG, 2), decay(Window(1, 2, start=0)))
    assert errors.times == (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
    assert np.allclose(errors.l2, expected(range(1, 7)), rtol=1e-12)


def test_figures_are_means_at_five_times(decay):
    errors = rollout_errors(Factor(WRONG), decay(Window(1, 1)))
    figures = errors.figures()
    assert list(figures) == [
        "l2",
        "l2@1.5",
        "l2@2",
        "l2@2.5",
        "l2@3.5",
        "l2@4",
        "l2_std",
        "samples",
    ]
    assert figures["l2@4"] == pytest.approx(expected(6), rel=1e-12)
    assert errors.persistence_figures()["l2@4"] == pytest.approx(expected(6, 1 / TRUE), rel=1e-12)
    assert figures["samples"] == 5


class Flow(nn.Module):
    """u(t + lead) = factor^(lead / spacing) u(t), and the lead times that it was asked for."""

    def __init__(self, factor):
        super().__init__()
        self.factor, self.leads = factor, []

    def forward(self, x, condition):
        assert condition.shape == (len(x), 2)
        self.leads.append(float(condition[0, 0]))
        steps = (condition[:, 0] / SPACING).reshape(-1, 1, 1, 1)
        return self.factor**steps * x[:, -2:]


class HalfKnown(Flow):
    """As above for the first two channels; the third one is filled with 5, and guessed wrong."""

    def forward(self, x, condition):
        assert bool((x[:, 2] == 5).all())
        scaled = torch.cat([4 * condition[:, :1], condition[:, 1:]], 1)
        return torch.cat([super().forward(x[:, :2], scaled), -x[:, 2:]], 1)


@pytest.mark.parametrize("hops", [None, [2, 1, 3]])
def test_a_member_is_rolled_out_in_its_own_times_with_what_is_known_kept(decay, hops):
    member = Member(
        decay(Pairs("all2all")), time_scale=4.0, filled={"p": 5.0}, unseen=("p",)
    )  # fmt: skip
    (alone,) = Mixture([member], quantities=("u_x", "u_y", "p")).alone()
    model = HalfKnown(WRONG)
    errors = rollout_errors(model, alone, hops=hops)
    ends = np.cumsum(hops or [1] * 6)
    assert np.allclose(model.leads, [SPACING * hop for hop in hops or [1] * 6], rtol=1e-6)
    assert errors.times == tuple(1 + SPACING * ends)
    # float32 conditions.
    assert np.allclose(errors.l2, expected(ends), rtol=1e-5)
    assert np.allclose(errors.persistence, expected(ends, 1 / TRUE), rtol=1e-12)


@pytest.mark.parametrize("hops", [None, [2, 1, 3], [6]])
def test_lead_times_follow_the_hops(decay, hops):
    model = Flow(WRONG)
    errors = rollout_errors(model, decay(Pairs("all2all")), hops=hops)
    ends = np.cumsum(hops or [1] * 6)
    assert model.leads == [SPACING * hop for hop in hops or [1] * 6]
    assert errors.times == tuple(1 + SPACING * ends)
    assert np.allclose(errors.l2, expected(ends), rtol=1e-12)


@pytest.mark.parametrize(
    ("window", "hops", "message"),
    [
        (Pairs(), [3], r"hops is \[3\], expected numbers >= 1 whose sum is 6"),
        (Pairs(), [0, 6], "numbers >= 1"),
        (Window(1, 1), [6], "expected None for a window"),
    ],
)
def test_hops_that_do_not_reach_the_end_are_refused(decay, window, hops, message):
    with pytest.raises(ValueError, match=message):
        rollout_errors(Flow(1.0), decay(window), hops=hops)


def test_a_model_of_other_frames_is_refused(decay):
    with pytest.raises(ValueError, match="makes 24 channels in 6 calls, expected 12"):
        rollout_errors(Factor(1.0, 2), decay(Window(1, 1)))


def test_a_map_to_one_time_has_no_rollout(decay):
    with pytest.raises(SchemaError, match="expected a Window"):
        rollout_errors(Factor(1.0), decay(AtTimes()))


def test_the_model_keeps_its_mode(decay):
    model = Factor(1.0).train()
    rollout_errors(model, decay(Window(1, 1)))
    assert model.training
