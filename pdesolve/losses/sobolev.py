"""Relative error in a Sobolev norm."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from ..ops import norms
from ..ops.mirror import mirrored
from .loss import Field, Mask, MeanOfSamples


@dataclass(frozen=True)
class Sobolev(MeanOfSamples):
    """Relative H^s error of a sample, channels and times joined, averaged over samples.

        ‖prediction - target‖_s / ‖target‖_s

    The order is any real number. On a grid that is periodic on every axis the norm is spectral
    (`ops.norms.sobolev`). Between walls order 1 is that of finite differences
    (`ops.norms.h1_difference`), and other orders are those of the cosine series of the fields
    (`ops.mirror`). Lengths are those of the grid: they set how much derivatives weigh against
    values. A zero target counts by its absolute error. Axes between the channels and the grid,
    such as the times of space-time fields on a grid of space, count as channels.

    Args:
        order: s; 1 asks for gradients too, -1 forgives small scales.
        homogeneous: measure derivatives alone; a wrong mean then goes unseen.

    Raises:
        ValueError: no grid, a grid that does not fit the fields, or a mask: differences and
            transforms would reach across the domain's edge.

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

    def _norm(self, u: Tensor, grid: Grid) -> Tensor:
        u = u.flatten(1, u.ndim - grid.dims - 1)
        if all(grid.periodic):
            return norms.sobolev(u, self.order, grid.lengths, homogeneous=self.homogeneous)
        if self.order == 1:
            return norms.h1_difference(u, grid, homogeneous=self.homogeneous)
        if self.order == 0 and not self.homogeneous:
            return norms.root_mean_square(u)
        extended, lengths = mirrored(u, grid)
        return norms.sobolev(extended, self.order, lengths, homogeneous=self.homogeneous)

    def _checked(self, grid: Grid | None, target: Tensor) -> Grid:
        if grid is None:
            raise ValueError(
                "grid is None, expected the Grid of the fields: a Sobolev norm needs lengths and "
                "periodicity; pass grid=batch.grid"
            )
        found = tuple(target.shape[max(2, target.ndim - grid.dims) :])
        if found != grid.shape:
            raise ValueError(
                f"grid has shape {grid.shape}, expected {found} as the fields: "
                f"pass the grid on which they lie"
            )
        return grid
