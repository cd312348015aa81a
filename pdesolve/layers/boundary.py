"""What a stencil sees beyond the edge of a grid, axis by axis.

    periodic         u_{-i} = u_{n-i}
    neumann_node     u_{-i} = u_i        even about the first point, which lies on the wall
    neumann_cell     u_{-i} = u_{i-1}    even about the wall, half a spacing before it
    dirichlet        u_{-i} = 0          the wall is one spacing before the first point

Zeros are left to the convolution, which has them for free; the functions here continue a field
along the other axes. They keep the memory format of the field, which torch's padding does not.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Boundary = Literal["dirichlet", "neumann_node", "neumann_cell", "periodic"]
BOUNDARIES = ("dirichlet", "neumann_node", "neumann_cell", "periodic")


def boundaries(boundary: Boundary | Sequence[Boundary], dims: int) -> tuple[Boundary, ...]:
    """Return one boundary for each of `dims` axes, from one for all or one each.

    Raises:
        ValueError: a name that is not known, or another number of names than axes.
    """
    each: tuple = (boundary,) * dims if isinstance(boundary, str) else tuple(boundary)
    if len(each) != dims or not set(each) <= set(BOUNDARIES):
        raise ValueError(
            f"boundary is {boundary!r}, expected one of {BOUNDARIES}, or a tuple of {dims} of "
            f"them, one for each axis"
        )
    return each


def wrap(
    x: Float[Tensor, "b c *grid"], boundary: Sequence[Boundary], width: int
) -> Float[Tensor, "b c *wrapped"]:
    """Return the field with `width` more points on both sides of its periodic axes."""
    for axis, kind in enumerate(boundary, start=2):
        if kind == "periodic":
            n = x.shape[axis]
            # An axis of one point is its own neighbour, as often as it takes.
            around = x if n >= width else torch.cat([x] * width, axis)
            last = around.narrow(axis, around.shape[axis] - width, width)
            x = torch.cat([last, x, around.narrow(axis, 0, width)], axis)
    return x


def mirror(
    x: Float[Tensor, "b c *grid"], boundary: Sequence[Boundary]
) -> Float[Tensor, "b c *mirrored"]:
    """Return the field with one more point on both sides of its Neumann axes.

    Raises:
        ValueError: an axis with nodes on its walls has one point only.
    """
    for axis, kind in enumerate(boundary, start=2):
        if kind in ("neumann_node", "neumann_cell"):
            n, skip = x.shape[axis], int(kind == "neumann_node")
            if n <= skip:
                raise ValueError(
                    f"x has shape {tuple(x.shape)}, expected 2 points or more on axis {axis - 2}, "
                    f"whose first and last nodes are its walls: use fewer levels or a finer grid"
                )
            first, last = x.narrow(axis, skip, 1), x.narrow(axis, n - 1 - skip, 1)
            x = torch.cat([first, x, last], axis)
    return x
