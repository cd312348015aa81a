import math

import pytest
import torch

from pdesolve import Batch, Grid
from pdesolve.evaluation.conformal import ball_scores, radius


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_coverage_of_exchangeable_scores_is_as_promised(coverage):
    # Exactly k / (n + 1) in the mean over draws of n + 1 exchangeable scores without ties.
    n, draws = 30, 4000
    scores = torch.randn(draws, n + 1, generator=torch.Generator().manual_seed(0)).exp()
    held = [float(one[-1] <= radius(one[:-1], coverage=coverage)) for one in scores]
    promised = math.ceil((n + 1) * coverage) / (n + 1)
    spread = math.sqrt(promised * (1 - promised) / draws)
    assert abs(sum(held) / draws - promised) < 4 * spread
    assert promised >= coverage


@pytest.mark.parametrize(("count", "rank"), [(9, 9), (10, 10), (19, 18), (20, 19), (99, 90)])
def test_the_radius_is_the_score_of_the_right_rank(count, rank):
    scores = torch.arange(float(count), 0, -1)
    assert radius(scores, coverage=0.9) == rank


@pytest.mark.parametrize("count", [1, 8])
def test_so_few_scores_promise_nothing(count):
    assert radius(torch.ones(count), coverage=0.9) == math.inf


def test_a_score_that_is_not_finite_counts_as_the_largest():
    scores = torch.tensor([math.nan, *range(1, 10)])
    assert radius(scores, coverage=0.9) == math.inf
    assert radius(scores, coverage=0.8) == 9.0


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1.0])
def test_impossible_coverage_is_refused(coverage):
    with pytest.raises(ValueError, match="coverage is"):
        radius(torch.ones(3), coverage=coverage)


def test_no_scores_are_refused():
    with pytest.raises(ValueError, match="scores are empty"):
        radius(torch.ones(0))


class Fields:
    """Samples whose truth is a multiple of the input, on a grid that is not square."""

    grid = Grid((5, 4), 1.0, periodic=True)

    def __init__(self, factors):
        self.factors = torch.tensor(factors)

    def __len__(self):
        return len(self.factors)

    def batch(self, indices):
        x = torch.ones(len(indices), 1, 5, 4)
        return Batch(x, self.factors[list(indices)].reshape(-1, 1, 1, 1) * x, grid=self.grid)


def test_a_score_is_the_error_relative_to_the_prediction():
    # The prediction is 2 everywhere, the truth 1, 2, 5: |u - 2| / 2.
    scores = ball_scores(lambda x: 2 * x, Fields([1.0, 2.0, 5.0]), batch_size=2)
    assert scores.tolist() == [0.5, 0.0, 1.5]
    assert scores.dtype == torch.float64
