"""A sample at scattered points: truth, prediction and error, each value at its place."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from . import canvas
from .fields import AXIS_NAMES, FLATTEST, TALLEST, Names, array
from .panels import MAX_ROWS, shared_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Square points on a picture 72 wide, whose area is shared out among the dots.
_INK, _LARGEST = 12000.0, 36.0


def points_panel(
    points: Float[Tensor, "n d"],
    y: Float[Tensor, "c_out n"],
    prediction: Float[Tensor, "c_out n"],
    *,
    names: Names,
    title: str = "",
) -> "Figure":
    """Return a figure of one sample, a row for each channel: truth, prediction, error.

    Of points with one coordinate the values stand above them; with two or more, the first two
    are drawn to the right and upwards and the colour is the value, on the scales of
    `panels.prediction_panel`. At most six rows.
    """
    place = array(points)
    channels = min(len(y), MAX_ROWS)
    draw, height = (_row_of_curves, 2.7) if place.shape[1] == 1 else (_row_of_dots, _height(place))
    figure = canvas.figure(10.0, 0.4 + channels * height)
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold")
    rows = figure.subplots(channels, 3, squeeze=False)
    for channel, axes in enumerate(rows):
        draw(axes, place, array(y[channel]), array(prediction[channel]), names, channel)
    return figure


def _height(place: np.ndarray) -> float:
    width, height = np.ptp(place[:, :2], axis=0)
    return 0.95 + 3.0 * min(max(height / (width or 1.0), FLATTEST), TALLEST)


def _row_of_dots(
    axes: Any, place: np.ndarray, truth: np.ndarray, predicted: np.ndarray, names: Names, c: int
) -> None:
    label = names.label(names.outputs[c])
    limits = shared_limits(truth, predicted)
    for one, values, what in ((axes[0], truth, "truth"), (axes[1], predicted, "prediction")):
        dots = _dots(one, place, values, names, what, canvas.FIELD_MAP, limits)
    _colour_bar(dots, axes[:2], label)
    error = predicted - truth
    finite = np.abs(error[np.isfinite(error)])
    # A perfect prediction still needs a scale with a width.
    largest = float(finite.max(initial=0.0)) or 1.0
    own = (-largest, largest)
    dots = _dots(axes[2], place, error, names, "prediction − truth", canvas.ERROR_MAP, own)
    _colour_bar(dots, axes[2:], label)


def _dots(
    axes: "Axes",
    place: np.ndarray,
    values: np.ndarray,
    names: Names,
    title: str,
    colours: str,
    limits: tuple[float, float],
) -> Any:
    size = min(_INK / len(place), _LARGEST)
    x, y = place[:, 0], place[:, 1]
    dots = axes.scatter(
        x, y, c=values, s=size, cmap=colours, vmin=limits[0], vmax=limits[1], linewidths=0
    )
    axes.set_aspect("equal", adjustable="datalim")
    canvas.write(axes, title=title, x=names.label(AXIS_NAMES[0]), y=names.label(AXIS_NAMES[1]))
    axes.tick_params(labelsize=8, color=canvas.GREY)
    axes.locator_params(nbins=4)
    axes.spines[:].set_color(canvas.GREY)
    return dots


def _colour_bar(dots: Any, axes: Any, label: str) -> None:
    bar = (
        axes[0]
        .get_figure(root=True)
        .colorbar(
            dots, ax=list(axes), location="bottom", fraction=0.05, aspect=24 * len(axes), pad=0.02
        )
    )
    bar.ax.set_xlabel(label, fontsize=9)
    bar.ax.locator_params(nbins=2 + 3 * len(axes))
    bar.ax.tick_params(labelsize=8, color=canvas.GREY)
    bar.outline.set_visible(False)


def _row_of_curves(
    axes: Any, place: np.ndarray, truth: np.ndarray, predicted: np.ndarray, names: Names, c: int
) -> None:
    order = np.argsort(place[:, 0])
    x, drawn = place[order, 0], {"linewidth": 1.0, "marker": ".", "markersize": 4}
    for one, values, what, colour in (
        (axes[0], truth, "truth", canvas.TRUTH),
        (axes[1], predicted, "prediction", canvas.PREDICTION),
        (axes[2], predicted - truth, "prediction − truth", canvas.ERROR),
    ):
        canvas.plain(one)
        canvas.write(one, title=what, x=names.label(AXIS_NAMES[0]), y=names.label(names.outputs[c]))
        one.plot(x, values[order], color=colour, **drawn)
    axes[1].set_ylim(axes[0].get_ylim())
