from dataclasses import dataclass

import torch

from pdesolve.training.refinement.sweep import judged, sweep


@dataclass(frozen=True)
class Linear:
    """Fields whose true error is 1 - h; the estimator sees a share of it, the finer one all."""

    share: torch.Tensor
    growth: float = 1.0
    best: bool = False

    def kept(self, states):
        return states

    def defects(self, states):
        return 1 - states

    def errors(self, states, defects):
        return defects if self.best else self.share[:, None, None] * defects * self.growth

    def residual(self, states, defects):
        return defects.flatten(1).norm(dim=1)

    def finer(self):
        return None if self.best else Linear(self.share, self.growth, best=True)

    def rows(self, rows):
        return Linear(self.share[rows], self.growth, self.best)


def start(samples):
    return torch.full((samples, 2, 3), 0.9, dtype=torch.float64)


def test_one_sweep_adds_the_estimated_error():
    model = Linear(torch.tensor([1.0, 0.5], dtype=torch.float64))
    found = sweep(model, start(2), tolerance=None, iterations=1)
    torch.testing.assert_close(found.best.states[:, 0, 0], torch.tensor([1.0, 0.95]).double())
    assert found.iterations.tolist() == [1, 1]


def test_sample_within_its_tolerance_is_left_alone():
    model = Linear(torch.tensor([1.0, 1e-4], dtype=torch.float64))
    found = sweep(model, start(2), tolerance=1e-3, iterations=5)
    assert found.iterations[1] == 0
    assert torch.equal(found.best.states[1], start(2)[1])
    assert found.best.estimate[0] <= 1e-3


def test_worse_iterates_are_not_kept():
    # The finer estimator is as bad, so nothing helps: three times the error leaves twice of it.
    model = Linear(torch.tensor([3.0], dtype=torch.float64), best=False)
    found = sweep(model, start(1), tolerance=None, iterations=1)
    assert torch.equal(found.best.states, start(1))


def test_slow_sweeps_change_to_the_finer_estimator_and_judge_the_start_again():
    model = Linear(torch.tensor([0.1], dtype=torch.float64))
    found = sweep(model, start(1), tolerance=1e-6, iterations=6)
    assert abs(float(found.start.estimate) - 0.1) < 1e-12
    assert float(found.best.estimate) < 1e-6


def test_wild_sample_does_not_disturb_the_others():
    model = Linear(torch.tensor([1.0, 1.0], dtype=torch.float64))
    states = start(2)
    states[1, 0, 0] = torch.nan
    found = sweep(model, states, tolerance=1e-9, iterations=3)
    assert float(found.best.estimate[0]) <= 1e-9
    assert found.best.states[1].isnan().any()
    assert found.iterations.tolist() == [1, 0]


def test_estimate_is_relative_over_all_steps_and_in_each():
    model = Linear(torch.tensor([1.0], dtype=torch.float64))
    states = torch.tensor([[[0.5], [2.0]]], dtype=torch.float64)
    found = judged(model, states)
    assert abs(float(found.estimate) - (0.25 + 1) ** 0.5 / 2**0.5) < 1e-15
    torch.testing.assert_close(found.slices, torch.tensor([[0.5, 1.0]], dtype=torch.float64))
