"""A field carried to another grid of the same box."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid


def resampled(
    x: Float[Tensor, "b c *grid"], source: Grid, target: Grid
) -> Float[Tensor, "b c *other"]:
    """Return the field interpolated linearly along each axis from one grid to another.

    Periodic axes are interpolated across their ends; beyond the first and the last point of the
    others (grids of cells) the outermost pair is continued.

    Args:
        x: field on the source grid.
        source, target: grids of the same box, placement and offset.
    """
    for axis in range(source.dims):
        if source.shape[axis] != target.shape[axis]:
            weights = _interpolation(source, target, axis).to(x.dtype).to(x.device)
            x = (x.movedim(axis + 2, -1) @ weights.T).movedim(-1, axis + 2)
    return x


def _interpolation(source: Grid, target: Grid, axis: int) -> Float[Tensor, "m n"]:
    """Matrix from n values on an axis of the source to m on that of the target."""
    n, spacing = source.shape[axis], source.spacing[axis]
    position = (target.axis(axis) - source.axis(axis)[0]) / spacing
    left = position.floor().long()
    if not source.periodic[axis]:
        left = left.clamp(0, max(n - 2, 0))
    share = (position - left)[:, None]
    identity = torch.eye(n, dtype=torch.float64)
    return (1 - share) * identity[left % n] + share * identity[(left + 1) % n]
