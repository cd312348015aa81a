"""Drawing one field at its physical place: a line, a map, or planes through a volume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import Tensor

from ..grid import Grid
from . import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXIS_NAMES = ("x", "y", "z")
# Pictures that would be flatter or taller are stretched.
FLATTEST, TALLEST = 0.3, 1.6

_EXTEND: dict[tuple[bool, bool], Literal["neither", "min", "max", "both"]] = {
    (False, False): "neither",
    (True, False): "min",
    (False, True): "max",
    (True, True): "both",
}


@dataclass(frozen=True)
class Names:
    """What the channels are called, and in which units fields and axes (x, y, z) are."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    units: Mapping[str, str] = field(default_factory=dict)

    def label(self, name: str) -> str:
        """Return the name of a field or an axis with its unit."""
        return canvas.labelled(name, self.units.get(name, "1"))


@dataclass(frozen=True)
class Plane:
    """Two axes of a grid of two or three, and where the third one is cut.

    Args:
        axes: the axes drawn to the right and upwards.
        index: picks the plane from the last axes of a field.
        label: where the cut is, in words.
        extent: left, right, bottom and top edge of the outer cells, in length units.
    """

    axes: tuple[int, int]
    index: tuple[slice | int, ...]
    label: str
    extent: tuple[float, float, float, float]

    @property
    def aspect(self) -> float:
        """Height over width of the picture."""
        left, right, bottom, top = self.extent
        return min(max((top - bottom) / (right - left), FLATTEST), TALLEST)

    @property
    def stretched(self) -> bool:
        """Whether lengths differ between the two directions of the picture."""
        left, right, bottom, top = self.extent
        return not FLATTEST <= (top - bottom) / (right - left) <= TALLEST


def planes(grid: Grid) -> list[Plane]:
    """Return the plane of a grid of two axes, or the three through the middle of three axes.

    Raises:
        ValueError: the grid has one axis, or more than three.
    """
    if grid.dims not in (2, 3):
        raise ValueError(
            f"grid has {grid.dims} axes, expected two or three: index the others first"
        )
    if grid.dims == 2:
        return [Plane((0, 1), (slice(None), slice(None)), "", _extent(grid, 0, 1))]
    cuts = []
    for normal, (first, second) in ((2, (0, 1)), (1, (0, 2)), (0, (1, 2))):
        middle = grid.shape[normal] // 2
        index = tuple(middle if axis == normal else slice(None) for axis in range(3))
        label = f" at {AXIS_NAMES[normal]} = {float(grid.axis(normal)[middle]):.3g}"
        cuts.append(Plane((first, second), index, label, _extent(grid, first, second)))
    return cuts


def draw_line(axes: "Axes", grid: Grid, names: Names, name: str, *, title: str) -> np.ndarray:
    """Prepare the axes of a field of one axis, and return the positions of its points."""
    canvas.plain(axes).set_axis_on()
    canvas.write(axes, title=title, x=names.label(AXIS_NAMES[0]), y=names.label(name))
    return grid.axis(0).numpy()


def draw_map(
    axes: "Axes",
    values: np.ndarray,
    plane: Plane,
    names: Names,
    *,
    title: str,
    colours: str,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a field of two axes, each value the cell around its point, first axis to the right.

    Args:
        axes: where.
        values: the field, shape (n, m).
        plane: the two axes.
        names: for the labels of the axes.
        title: written above, with the place of the plane.
        colours: name of a colour map.
        limits: values at its ends; by default those of the field.
    """
    low, high = limits or (None, None)
    axes.set_axis_on()
    axes.imshow(
        values.T,
        origin="lower",
        extent=plane.extent,
        interpolation="nearest",
        aspect="auto" if plane.stretched else "equal",
        cmap=colours,
        vmin=low,
        vmax=high,
    )
    x, y = (names.label(AXIS_NAMES[axis]) for axis in plane.axes)
    canvas.write(axes, title=title + plane.label, x=x, y=y)
    axes.tick_params(labelsize=8, color=canvas.GREY)
    axes.locator_params(nbins=4)
    axes.spines[:].set_color(canvas.GREY)


def add_colour_bar(
    axes: Sequence["Axes"],
    plane: Plane,
    label: str,
    *,
    beyond: tuple[bool, bool] = (False, False),
) -> None:
    """Add the one colour bar of maps that lie side by side, below them and as wide as they are.

    Args:
        axes: of the maps, drawn with equal limits.
        plane: that they show.
        label: of the values.
        beyond: whether a value lies below, and above, the limits; such an end is an arrow.
    """
    image = axes[0].images[0]
    figure = axes[0].get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(
        image,
        ax=list(axes),
        location="bottom",
        extend=_EXTEND[beyond],
        extendfrac=0.02,
        fraction=0.05 / plane.aspect,
        aspect=24 * len(axes),
        pad=0.02,
    )
    bar.ax.set_xlabel(label, fontsize=9)
    bar.ax.locator_params(nbins=2 + 3 * len(axes))
    # A common power of ten: 0.00025 beside 0.00050 would run into each other under a small map.
    bar.ax.ticklabel_format(axis="x", style="sci", scilimits=(-2, 4), useMathText=True)
    bar.ax.xaxis.get_offset_text().set_fontsize(8)
    bar.ax.tick_params(labelsize=8, color=canvas.GREY)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]


def array(u: Tensor) -> np.ndarray:
    """Return a tensor as an array for matplotlib."""
    return u.detach().double().cpu().numpy()


def _extent(grid: Grid, first: int, second: int) -> tuple[float, float, float, float]:
    def edges(axis: int) -> tuple[float, float]:
        points, half = grid.axis(axis), grid.spacing[axis] / 2
        return float(points[0]) - half, float(points[-1]) + half

    return (*edges(first), *edges(second))
