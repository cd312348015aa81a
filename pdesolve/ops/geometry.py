"""Plane regions inside a box, as the points of a grid that lie in them."""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Bool
from torch import Tensor

from ..grid import Grid

Shape = Literal["square", "circle", "triangle", "right_triangle", "notch", "cross"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

# Points on an edge belong to the region, whatever rounding says.
_EDGE = 1e-12


def inside(shape: str, grid: Grid) -> Bool[Tensor, "n m"]:
    """Return which points of the grid lie in a region; X = x / L_x and Y = y / L_y.

        square           the whole box
        circle           (X - 1/2)² + (Y - 1/2)² <= 1/4
        triangle         corners (0, 0), (1, 0), (1/2, √3/2): equilateral on a square box
        right_triangle   corners (0, 0), (1/2, 0), (1/2, √3/2)
        notch            the box without the open slit |X - 1/2| < 1/20, Y < 1/2
        cross            the box without the open bars |X - 1/2| < 1/20, |Y - 1/2| < 1/4 and back

    Circle and triangles are those of the multi-task DeepONet; notch and cross have the topology
    of its transfer sets with sizes of this package's, wide enough for 32 points a side.

    Args:
        shape: name of the region.
        grid: two axes.

    Raises:
        ValueError: the name is unknown or the grid is not a plane.
    """
    if shape not in SHAPES:
        raise ValueError(f"shape is {shape!r}, expected one of {SHAPES}")
    if grid.dims != 2:
        raise ValueError(f"grid has {grid.dims} axes, expected 2")
    x, y = (c / length for c, length in zip(grid.coordinates(), grid.lengths, strict=True))
    from_middle = (x - 0.5).abs(), (y - 0.5).abs()
    slope = math.sqrt(3)
    if shape == "circle":
        return (x - 0.5) ** 2 + (y - 0.5) ** 2 <= 0.25 + _EDGE
    if shape == "triangle":
        return y <= slope * (0.5 - from_middle[0]) + _EDGE
    if shape == "right_triangle":
        return (y <= slope * x + _EDGE) & (x <= 0.5 + _EDGE)
    if shape == "notch":
        return ~((from_middle[0] < 0.05 - _EDGE) & (y < 0.5 - _EDGE))
    if shape == "cross":
        upright = (from_middle[0] < 0.05 - _EDGE) & (from_middle[1] < 0.25 - _EDGE)
        level = (from_middle[1] < 0.05 - _EDGE) & (from_middle[0] < 0.25 - _EDGE)
        return ~(upright | level)
    return torch.ones(grid.shape, dtype=torch.bool)
