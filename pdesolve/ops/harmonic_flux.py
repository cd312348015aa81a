"""Finite volumes for -div(a grad u) in the plane, with harmonic means of a on the faces.

The flux between two neighbours is the harmonic mean 2ab/(a+b) of their coefficients times the
difference of u over the spacing: exact for a jump halfway between them.
"""

import torch
from torch import Tensor

from ..grid import Grid

# One more layer around the last two axes: wall nodes, or the values 0 that cells see there.
WALLS = (1, 1, 1, 1)


def conductances(a: Tensor, grid: Grid, region: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return a / h² of every face that touches an unknown, for -div(a grad u) with u = 0 outside.

    Args:
        a: coefficient (b, *grid), > 0.
        grid: two axes with walls, of cells or of nodes; unknowns are the cells or the inner nodes.
        region: 1 inside and 0 outside, (b, *grid): a wall stands halfway between an inner and an
            outer cell, and on an outer node. None is the whole grid.

    Returns:
        Of the faces along the first axis and along the second, (b, n + 1, m) and (b, n, m + 1)
        for n x m unknowns.
    """
    region = None if region is None else region.to(a)
    # Half a spacing to a wall between cells, a whole one to a node outside.
    wall = 2.0 if grid.placement == "cell" else 1.0
    x, y = (_face_values(a, region, axis, wall) for axis in (1, 2))
    if grid.placement == "node":
        x, y = x[:, :, 1:-1], y[:, 1:-1]
    else:
        # Half a spacing to the wall: twice the conductance.
        x = torch.cat([2 * a[:, :1], x, 2 * a[:, -1:]], dim=1)
        y = torch.cat([2 * a[:, :, :1], y, 2 * a[:, :, -1:]], dim=2)
    return x / grid.spacing[0] ** 2, y / grid.spacing[1] ** 2


def outflow(u: Tensor, faces: tuple[Tensor, Tensor]) -> Tensor:
    """Return -div_h(a grad_h u) at the unknowns (b, n, m).

    Args:
        u: with one more layer around it, (b, n + 2, m + 2): the values on the walls.
        faces: what `conductances` returns.
    """
    x, y = faces
    x_flux = x * u[:, :, 1:-1].diff(dim=1)
    y_flux = y * u[:, 1:-1].diff(dim=2)
    return -(x_flux.diff(dim=1) + y_flux.diff(dim=2))


def _face_values(a: Tensor, region: Tensor | None, axis: int, wall: float) -> Tensor:
    """Return a on the faces between neighbours along an axis; `wall` times it at the region."""
    first, second = a.narrow(axis, 0, a.shape[axis] - 1), a.narrow(axis, 1, a.shape[axis] - 1)
    mean = 2 * first * second / (first + second)
    if region is None:
        return mean
    r, t = region.narrow(axis, 0, a.shape[axis] - 1), region.narrow(axis, 1, a.shape[axis] - 1)
    # Of a face with one side inside, only that side's medium counts.
    return r * t * mean + wall * (r * (1 - t) * first + (1 - r) * t * second)
