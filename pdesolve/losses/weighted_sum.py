"""A weighted sum of losses."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from .loss import Field, Loss, Mask, MeanOfSamples


@dataclass(frozen=True)
class WeightedSum(MeanOfSamples):
    """Sum of losses, each times its weight.

        Σ_i weights_i · terms_i(prediction, target)

    Args:
        terms: losses.
        weights: as many numbers.

    Raises:
        ValueError: no term, or numbers of terms and weights differ.
    """

    terms: Sequence[Loss]
    weights: Sequence[float]

    def __post_init__(self):
        if not self.terms or len(self.terms) != len(self.weights):
            raise ValueError(
                f"weights has {len(self.weights)} entries for {len(self.terms)} terms, expected "
                f"at least one term and one weight for each: list them in the same order"
            )

    def per_sample(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, " b"]:
        """Weighted sum of each sample, shape (b,)."""
        first, *others = (
            weight * term.per_sample(prediction, target, grid=grid, mask=mask)
            for term, weight in zip(self.terms, self.weights, strict=True)
        )
        return sum(others, first)
