"""What a stencil sees beyond the edge of a grid, axis by axis.

    periodic         u_{-i} = u_{n-i}
    neumann_node     u_{-i} = u_i        even about the first point, which lies on the wall
    neumann_cell     u_{-i} = u_{i-1}    even about the wall, half a spacing before it
    dirichlet        u_{-i} = 0          the wall is one spacing before the first point

Zeros are left to the convolution, which has them for free; the functions here continue a field
along the other axes. They keep the memory format of the field, which torch's padding does not, and
their gradient adds the strips beyond the edges to the field where torch's makes a field of each.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

Boundary = Literal["dirichlet", "neumann_node", "neumann_cell", "periodic"]
BOUNDARIES = ("dirichlet", "neumann_node", "neumann_cell", "periodic")
# Axis, points added on both sides, position of the first point that is copied before and behind.
Strip = tuple[int, int, int, int]


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
    strips: list[Strip] = []
    for axis, kind in enumerate(boundary, start=2):
        n = x.shape[axis]
        if kind == "periodic" and n >= width:
            strips.append((axis, width, n - width, 0))
        elif kind == "periodic":
            # A strip that goes around more than once.
            around = torch.arange(-width, n + width, device=x.device) % n
            x = x.index_select(axis, around)
    return _extended(x, tuple(strips)) if strips else x


def mirror(
    x: Float[Tensor, "b c *grid"], boundary: Sequence[Boundary]
) -> Float[Tensor, "b c *mirrored"]:
    """Return the field with one more point on both sides of its Neumann axes.

    Raises:
        ValueError: an axis with nodes on its walls has one point only.
    """
    strips: list[Strip] = []
    for axis, kind in enumerate(boundary, start=2):
        if kind in ("neumann_node", "neumann_cell"):
            n, skip = x.shape[axis], int(kind == "neumann_node")
            if n <= skip:
                raise ValueError(
                    f"x has shape {tuple(x.shape)}, expected 2 points or more on axis {axis - 2}, "
                    f"whose first and last nodes are its walls: use fewer levels or a finer grid"
                )
            strips.append((axis, 1, skip, n - 1 - skip))
    return _extended(x, tuple(strips)) if strips else x


def _extended(x: Tensor, strips: tuple[Strip, ...]) -> Tensor:
    # The compiler finds a good gradient by itself, and takes no function with a jvp.
    if torch.compiler.is_compiling():
        return _Extension.forward(x, strips)
    return _Extension.apply(x, strips)  # pyright: ignore


class _Extension(torch.autograd.Function):
    """Copies of strips of a field before and behind it, axis after axis."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, strips: tuple[Strip, ...]) -> Tensor:
        for axis, width, before, behind in strips:
            first, last = x.narrow(axis, before, width), x.narrow(axis, behind, width)
            x = torch.cat([first, x, last], axis)
        return x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        del output
        ctx.strips = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore
        return _Folding.apply(gradient, ctx.strips), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:  # pyright: ignore
        return _Extension.apply(tangent, ctx.strips)


class _Folding(torch.autograd.Function):
    """The transpose of an extension: strips added to the points they are copies of."""

    generate_vmap_rule = True

    @staticmethod
    def forward(y: Tensor, strips: tuple[Strip, ...]) -> Tensor:
        return _folded(y, strips)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        del output
        ctx.strips = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore
        return _Extension.apply(gradient, ctx.strips), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:  # pyright: ignore
        return _Folding.apply(tangent, ctx.strips)


def _folded(y: Tensor, strips: tuple[Strip, ...]) -> Tensor:
    if not strips:
        return y.clone()
    (axis, width, before, behind), rest = strips[-1], strips[:-1]
    n = y.shape[axis] - 2 * width
    x = _folded(y.narrow(axis, width, n), rest)
    # Thin fields; only the innermost one is copied whole.
    x.narrow(axis, before, width).add_(_folded(y.narrow(axis, 0, width), rest))
    x.narrow(axis, behind, width).add_(_folded(y.narrow(axis, n + width, width), rest))
    return x
