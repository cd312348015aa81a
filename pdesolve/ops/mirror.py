"""Fields between walls as periodic ones: mirrored at both ends of every axis that has walls."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid


def mirrored(
    u: Float[Tensor, "b c *grid"], grid: Grid
) -> tuple[Float[Tensor, "b c *mirrored"], tuple[float, ...]]:
    """Even periodic extension of a field, and the sides of its box.

    Periodic axes stay as they are. Its Fourier modes are the cosines cos(πkx/L) of the box, so
    that `norms.sobolev` of the extension is the H^s norm of the cosine series of u

        ‖u‖_s² = Σ_k (1 + |κ|²)^s |û_k|² m_k,   κ = πk/L,   m_k the mean square of the cosines

    for any real s. For 0 <= s < 3/2 this is a norm of H^s on the box whatever u does at the walls
    (no derivative there is asked to vanish), for negative s that of the dual space.

    The mirrors stand half a spacing outside of the first and last cell, and at the first and last
    point of a node grid, which then counts half, as in the trapezoidal rule.

    Args:
        u: field (b, c, *grid.shape).
        grid: where the points are.

    >>> mirrored(torch.tensor([[[1.0, 2.0, 3.0]]]), Grid((3,), 1.0, False))
    (tensor([[[1., 2., 3., 2.]]]), (2.0,))
    """
    lengths = []
    for axis, n in enumerate(grid.shape):
        if grid.periodic[axis] or n == 1:
            lengths.append(grid.lengths[axis])
            continue
        back = u.flip(axis + 2)
        if grid.placement == "node":
            back = back.narrow(axis + 2, 1, n - 2)
        u = torch.cat([u, back], axis + 2)
        lengths.append(u.shape[axis + 2] * grid.spacing[axis])
    return u, tuple(lengths)
