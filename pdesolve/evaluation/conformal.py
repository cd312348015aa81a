"""How far from a prediction the truth may be: split-conformal balls, with a guarantee."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..ops import norms
from .inference import Model, Samples, predictions


def radius(scores: Float[Tensor, " samples"], *, coverage: float = 0.9) -> float:
    """Return the smallest r that a new score stays below with the probability `coverage`.

    With n scores it is the k-th smallest, k = ⌈(n + 1) coverage⌉, and infinite where k > n: so few
    samples promise nothing. If the new sample and the n are exchangeable, the probability, over
    all of them, is at least `coverage`, and at most coverage + 1 / (n + 1) where no scores are
    equal; whatever the model and the distribution are.

    >>> radius(torch.arange(1.0, 20.0), coverage=0.9)
    18.0
    >>> radius(torch.arange(1.0, 4.0), coverage=0.9)
    inf

    Args:
        scores: of samples that the model has not learned from, nor been chosen by.
        coverage: between 0 and 1.

    Raises:
        ValueError: coverage is not between 0 and 1, or there is no score.

    Source: Lei et al. 2018, J. Am. Stat. Assoc. 113, 1094, arXiv:1604.04173, algorithm 2.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}, expected a number between 0 and 1: say 0.9")
    if not len(scores):
        raise ValueError("scores are empty, expected those of a validation split: make one")
    # Rounded first: 19 + 1 times 0.9 is a little more than 18 in floating point.
    rank = math.ceil(round((len(scores) + 1) * coverage, 9))
    # A score that is not finite is the largest there can be.
    ordered = torch.nan_to_num(scores.double(), nan=torch.inf, posinf=torch.inf).sort().values
    return float(ordered[rank - 1]) if rank <= len(scores) else math.inf


def ball_scores(
    model: Model,
    dataset: Samples,
    *,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Float[Tensor, " samples"]:
    """Return ‖u - û‖ / ‖û‖ of each sample, over channels and points inside the mask, float64.

    The error is taken relative to the prediction û, which is known when it is made, so that the
    `radius` r of such scores says: the truth lies in the ball ‖u - û‖ <= r ‖û‖ about it. The ball
    holds the whole field at once; it says nothing of single points.

    Arguments and errors: see `metrics.evaluate`.
    """
    scores = [
        norms.relative_lp(batch.y.double(), prediction.double(), mask=batch.mask).cpu()
        for batch, prediction in predictions(model, dataset, batch_size=batch_size, device=device)
    ]
    return torch.cat(scores)
