"""Losses: how far a prediction is from its target, one number a sample or their mean.

A loss is any callable `loss(prediction, target, *, grid=None, mask=None) -> scalar`, in physical
units. The losses here also offer `per_sample`, which evaluation reports. All are zero, with a zero
gradient, for a perfect prediction.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .grid import Grid
from .ops import norms

Field = Float[Tensor, "b c *grid"]
Mask = Float[Tensor, "b c_mask *grid"] | Bool[Tensor, "b c_mask *grid"]


@runtime_checkable
class Loss(Protocol):
    """What training and evaluation need of a loss: the mean over samples, and each sample's."""

    def __call__(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, ""]: ...

    def per_sample(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, " b"]: ...


@dataclass(frozen=True)
class RelativeL2:
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

    def __call__(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, ""]:
        return self.per_sample(prediction, target, grid=grid, mask=mask).mean()


@dataclass(frozen=True)
class Sobolev:
    """Relative H^s error of a sample, channels joined, averaged over samples.

        ‖prediction - target‖_s / ‖target‖_s

    On a grid that is periodic on every axis the norm is spectral and the order any real number
    (`ops.norms.sobolev`); otherwise the order is 0 or 1 and finite differences serve
    (`ops.norms.h1_difference`). Lengths are those of the grid: they set how much derivatives
    weigh against values. A zero target counts by its absolute error.

    Args:
        order: s; 1 asks for gradients too, -1 forgives small scales.
        homogeneous: measure derivatives alone; a wrong mean then goes unseen.

    Raises:
        ValueError: no grid, a grid that does not fit the fields, an order that the grid does not
            allow, or a mask: differences and transforms would reach across the domain's edge.

    Source: H^1 training as in Kossaifi et al. 2023, arXiv 2310.00120, whose published code
    normalises lengths to 1 and sums over samples and channels; here lengths are physical and
    samples are averaged.
    """

    order: float
    homogeneous: bool = False

    def per_sample(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, " b"]:
        """Relative error of each sample, shape (b,)."""
        if mask is not None:
            raise ValueError(
                f"mask of shape {tuple(mask.shape)} given, expected None: derivatives would reach "
                f"across the edge of the domain; use RelativeL2 on masked fields"
            )
        error = norms.misfit(prediction, target)
        grid = self._checked(grid, target)
        return norms.ratio(self._norm(error, grid), self._norm(target, grid))

    def __call__(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, ""]:
        return self.per_sample(prediction, target, grid=grid, mask=mask).mean()

    def _norm(self, u: Tensor, grid: Grid) -> Tensor:
        if all(grid.periodic):
            return norms.sobolev(u, self.order, grid.lengths, homogeneous=self.homogeneous)
        if self.order == 1:
            return norms.h1_difference(u, grid, homogeneous=self.homogeneous)
        return norms.root_mean_square(u)

    def _checked(self, grid: Grid | None, target: Tensor) -> Grid:
        if grid is None:
            raise ValueError(
                "grid is None, expected the Grid of the fields: a Sobolev norm needs lengths and "
                "periodicity; pass grid=batch.grid"
            )
        if tuple(target.shape[2:]) != grid.shape:
            raise ValueError(
                f"grid has shape {grid.shape}, expected {tuple(target.shape[2:])} as the fields: "
                f"pass the grid on which they lie"
            )
        allowed = (1,) if self.homogeneous else (0, 1)
        if not all(grid.periodic) and self.order not in allowed:
            raise ValueError(
                f"order is {self.order} on a grid with periodic={grid.periodic}, expected one of "
                f"{allowed} (homogeneous={self.homogeneous}): other orders need every axis periodic"
            )
        return grid


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


@dataclass(frozen=True)
class WeightedSum:
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

    def __call__(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, ""]:
        return self.per_sample(prediction, target, grid=grid, mask=mask).mean()
