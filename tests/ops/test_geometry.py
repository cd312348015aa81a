"""Regions against their areas, corners and symmetries."""

import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.ops.geometry import SHAPES, inside

AREAS = {
    "square": 1.0,
    "circle": math.pi / 4,
    "triangle": math.sqrt(3) / 4,
    "right_triangle": math.sqrt(3) / 8,
    "notch": 1 - 0.1 * 0.5,
    "cross": 1 - 2 * 0.1 * 0.5 + 0.1**2,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lengths", [(1.0, 1.0), (0.5, 3.0)])
def test_share_of_the_box_is_the_area(shape, lengths):
    region = inside(shape, Grid((200, 260), lengths, False, "cell"))
    # The edges pass through about a hundredth of the cells.
    assert float(region.double().mean()) == pytest.approx(AREAS[shape], abs=3e-3)


def test_corners_and_edges_belong_to_the_triangles():
    grid = Grid((5, 5), (1.0, 2 * math.sqrt(3)), False)
    # Nodes at X = 0, 1/4, ... and heights 0, √3/2, ... of the box: only the base is below √3/4.
    assert inside("triangle", Grid((3, 2), 1.0, False))[:, 0].tolist() == [True, True, True]
    assert inside("right_triangle", grid)[:, 0].tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("shape", ["circle", "triangle", "notch", "cross"])
def test_left_and_right_are_alike(shape):
    region = inside(shape, Grid((41, 30), 1.0, False))
    assert torch.equal(region, region.flip(0))


def test_the_notch_opens_at_the_bottom():
    region = inside("notch", Grid((40, 40), 1.0, False, "cell"))
    assert not bool(region[20, :20].any()) and bool(region[20, 20:].all())


def test_unknown_shapes_and_other_grids_are_refused():
    with pytest.raises(ValueError, match="expected one of"):
        inside("hexagon", Grid((4, 4), 1.0, False))
    with pytest.raises(ValueError, match="3 axes, expected 2"):
        inside("circle", Grid((4, 4, 4), 1.0, False))
