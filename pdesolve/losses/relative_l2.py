"""Relative L2 error."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from ..ops import norms
from .loss import Field, Mask, MeanOfSamples


@dataclass(frozen=True)
class RelativeL2(MeanOfSamples):
    """Relative L2 error of a sample over its channels and points, averaged over samples.

        ‖prediction - target‖ / ‖target‖

    A mask leaves points outside the domain uncounted; the grid is not needed. A zero target
    counts by its absolute error (`ops.norms.ratio`).

    Source: the error reported by Li et al. 2020, arXiv 2010.08895, and most operator papers.
    """

    def per_sample(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, " b"]:
        """Relative error of each sample, shape (b,)."""
        del grid  # equal weight for every point
        return norms.relative_lp(prediction, target, mask=mask)
