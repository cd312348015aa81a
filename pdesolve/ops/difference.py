"""Finite differences of second order, on every placement of a uniform grid."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid

# Weights of neighbouring points, to be divided by h^order. The one-sided ones start at the end
# point and look inwards; both are of second order.
_CENTRAL = {1: (-0.5, 0.0, 0.5), 2: (1.0, -2.0, 1.0)}
_ONE_SIDED = {1: (-1.5, 2.0, -0.5), 2: (2.0, -5.0, 4.0, -1.0)}


def derivative(
    u: Float[Tensor, "*axes"], orders: Sequence[int], grid: Grid
) -> Float[Tensor, "*axes"]:
    """Partial derivative of a field by finite differences of second order.

        u'  ≈ (u_{i+1} - u_{i-1}) / 2h              at an end  (-3 u_0 + 4 u_1 - u_2) / 2h
        u'' ≈ (u_{i+1} - 2 u_i + u_{i-1}) / h²      at an end  (2 u_0 - 5 u_1 + 4 u_2 - u_3) / h²

    Periodic axes wrap around, other axes use the one-sided formulas at both ends; h is the
    distance of the stored points, whether they are nodes, cell centres or offset nodes. Mixed
    derivatives apply the axes in turn.

    The central first derivative of a checkerboard is 0: errors at Nyquist are invisible to it.
    On periodic grids `fourier.derivative` has no such gap below Nyquist.

    Args:
        u: field (..., *grid.shape).
        orders: 0, 1 or 2 for each axis of the grid.
        grid: where the points are.

    Returns:
        The derivative at the same points, in units of u per length^sum(orders).

    Raises:
        ValueError: an order is not 0, 1 or 2; u does not lie on the grid; or an axis has too few
            points for the one-sided formula (3 for order 1, 4 for order 2).
    """
    _check(u, orders, grid)
    for axis, order in enumerate(orders):
        if order:
            u = _derivative_along(u, axis - grid.dims, order, grid.periodic[axis])
            u = u / grid.spacing[axis] ** order
    return u


def gradient(u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "d ..."]:
    """First derivatives of a field along every axis, stacked in front: (d, ..., *grid).

    The formulas, units and errors are those of `derivative`.
    """
    dims = grid.dims
    unit_orders = [[int(i == axis) for i in range(dims)] for axis in range(dims)]
    return torch.stack([derivative(u, orders, grid) for orders in unit_orders])


def _derivative_along(u: Tensor, axis: int, order: int, periodic: bool) -> Tensor:
    u = u.movedim(axis, -1)
    if periodic:
        wrapped = torch.cat([u[..., -1:], u, u[..., :1]], -1)
        result = _weighted(wrapped, _CENTRAL[order])
    else:
        inwards = _ONE_SIDED[order]
        first = _weighted(u[..., : len(inwards)], inwards)
        # Seen from the right end the axis points the other way: odd orders change sign.
        last = (-1) ** order * _weighted(u[..., -len(inwards) :].flip(-1), inwards)
        result = torch.cat([first, _weighted(u, _CENTRAL[order]), last], -1)
    return result.movedim(-1, axis)


def _weighted(u: Tensor, weights: Sequence[float]) -> Tensor:
    # Σ_i w_i u_{j+i} for every j at which all the neighbours exist.
    results = u.shape[-1] - len(weights) + 1
    terms = [w * u.narrow(-1, i, results) for i, w in enumerate(weights) if w]
    return sum(terms[1:], terms[0])


def _check(u: Tensor, orders: Sequence[int], grid: Grid) -> None:
    if len(orders) != grid.dims or not set(orders) <= {0, 1, 2}:
        raise ValueError(
            f"orders is {tuple(orders)}, expected 0, 1 or 2 for each of {grid.dims} axes: "
            f"apply derivative twice for a higher order"
        )
    if tuple(u.shape[-grid.dims :]) != grid.shape:
        raise ValueError(
            f"u has shape {tuple(u.shape)}, expected (..., {', '.join(map(str, grid.shape))}): "
            f"pass the grid on which the field lies, such as grid.resized of its sizes"
        )
    for axis, order in enumerate(orders):
        needed = len(_ONE_SIDED[order]) if order and not grid.periodic[axis] else 1
        if grid.shape[axis] < needed:
            raise ValueError(
                f"u has {grid.shape[axis]} points on axis {axis}, expected >= {needed} for order "
                f"{order} on an axis that is not periodic: use a finer grid"
            )
