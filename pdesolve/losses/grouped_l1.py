"""Relative L1 error by physical quantity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from ..ops import norms
from .loss import Field, Mask

# What the published grouped loss adds to its denominators.
GROUP_FLOOR = 1e-10


@dataclass(frozen=True)
class GroupedRelativeL1:
    """Relative L1 error of each physical quantity, averaged over the quantities.

        1/G Σ_g  mean |prediction_g - target_g|^p / mean |target_g|^p

    with means over the channels and points of quantity g: the components of a velocity share one
    denominator. Masked channels and points count neither above nor below, and a quantity that is
    masked throughout is left out of the average. A zero target counts by its absolute error
    (`ops.norms.ratio`).

    Args:
        groups: channels of each quantity in their order, such as (1, 2, 1) for density, velocity
            and pressure.
        power: p, 1 or 2; no root is taken.
        reduction: "sample" takes the ratio of each sample, "batch" one ratio of the means over the
            batch, in which samples of large fields weigh more (the published loss).
        official: count masked targets in the denominators, with no error, average over all
            quantities, and add 1e-10 to the denominators (the published loss).

    Raises:
        ValueError: groups do not add up to the channels of the fields.

    Source: Herde et al. 2024, Poseidon, arXiv:2405.19101; the paper writes one ratio a channel,
    its code and published models have one a quantity, as here.
    """

    groups: Sequence[int]
    power: Literal[1, 2] = 1
    reduction: Literal["sample", "batch"] = "sample"
    official: bool = False

    def per_sample(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, " b"]:
        """Error of each sample, shape (b,), whatever the reduction."""
        del grid  # equal weight for every point
        return self._error(*self._sums(prediction, target, mask))

    def per_group(
        self, prediction: Field, target: Field, *, mask: Mask | None = None
    ) -> Float[Tensor, "b g"]:
        """Error of each quantity of each sample, NaN where it is masked throughout."""
        ratios, seen = self._ratios(*self._sums(prediction, target, mask))
        return ratios.where(seen, math.nan)

    def __call__(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, ""]:
        del grid
        sums = self._sums(prediction, target, mask)
        if self.reduction == "batch":
            sums = tuple(part.sum(0, keepdim=True) for part in sums)
        return self._error(*sums).mean()

    def _sums(self, prediction: Tensor, target: Tensor, mask: Mask | None) -> tuple[Tensor, ...]:
        """Sizes of error and target and the points counted, each (b, g)."""
        if sum(self.groups) != target.shape[1]:
            raise ValueError(
                f"groups {tuple(self.groups)} add up to {sum(self.groups)}, expected the "
                f"{target.shape[1]} channels of the fields: name the channels of each quantity"
            )
        error, size = norms.misfit(prediction, target).abs(), target.abs()
        if self.power == 2:
            error, size = error.square(), size.square()
        counted = torch.ones_like(target)
        if mask is not None:
            inside = mask.expand_as(target) > 0
            error = error.where(inside, 0)
            if not self.official:
                size, counted = size.where(inside, 0), inside.to(target.dtype)
        each = (part.flatten(2).sum(2) for part in (error, size, counted))
        groups = list(self.groups)
        return tuple(
            torch.stack([group.sum(1) for group in one.split(groups, 1)], 1) for one in each
        )

    def _ratios(self, error: Tensor, size: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
        points = counted.clamp(min=1)
        if self.official:
            return error / (size + GROUP_FLOOR * points), counted > 0
        means = ((part / points).flatten() for part in (error, size))
        return norms.ratio(*means).reshape(error.shape), counted > 0

    def _error(self, error: Tensor, size: Tensor, counted: Tensor) -> Tensor:
        ratios, seen = self._ratios(error, size, counted)
        return ratios.sum(1) / seen.sum(1).clamp(min=1)
