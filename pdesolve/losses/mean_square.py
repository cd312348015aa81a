"""Mean squared error, of all points or of those inside a mask."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from ..ops import norms
from .loss import Field, Mask, MeanOfSamples


@dataclass(frozen=True)
class MeanSquare(MeanOfSamples):
    """Mean squared error of a sample over its channels and points, averaged over samples.

        Σ m (prediction - target)² / N

    m is 1 inside the mask and 0 outside. With `over` = "area", N counts the channels and points
    inside, so that a small domain weighs as much as a large one; with "points" it counts all of
    them, so that every point weighs the same in all samples (the published loss of the multi-task
    DeepONet, in which a domain counts by its area). Without a mask they agree. The unit is that of
    the target squared. A sample without a point inside gives 0.

    Args:
        over: "area" or "points".

    Source: Kumar et al. 2025, arXiv 2408.02198, and its code ("points").
    """

    over: Literal["area", "points"] = "area"

    def per_sample(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, " b"]:
        """Mean squared error of each sample, shape (b,)."""
        del grid  # equal weight for every point
        error = norms.misfit(prediction, target).flatten(1)
        if mask is None:
            return error.square().mean(1)
        inside = (mask.expand_as(target) > 0).flatten(1)
        # Before the square: NaN outside would reach the gradient through it.
        total = error.where(inside, 0).square().sum(1)
        if self.over == "points":
            return total / error.shape[1]
        return total / inside.sum(1).clamp(min=1)
