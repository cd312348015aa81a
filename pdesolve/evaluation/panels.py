"""Samples side by side: input, truth, prediction and error, in physical units and coordinates."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..batch import Batch
from ..grid import Grid
from . import canvas
from .fields import Names, Plane, add_colour_bar, array, draw_line, draw_map, planes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Beyond these a picture is no longer looked at.
MAX_ROWS, MAX_COLUMNS = 6, 6


def prediction_panel(
    x: Float[Tensor, "c_in *grid"],
    y: Float[Tensor, "c_out *grid"],
    prediction: Float[Tensor, "c_out *grid"],
    *,
    grid: Grid,
    names: Names,
    title: str = "",
) -> "Figure":
    """Return a figure of one sample, a row for each channel: input, truth, prediction, error.

    One axis: lines, truth and prediction in one picture. Two axes: maps with x to the right, each
    stored value a cell around its point. Three axes: maps of the three planes through the middle,
    of the first channel. Truth and prediction share a colour scale, which leaves the truth's range
    by at most a quarter of it; the error's is symmetric about zero. At most six rows.

    Raises:
        ValueError: the grid has more than three axes.
    """
    if grid.dims == 1:
        return _prediction_lines(x, y, prediction, grid, names, title)
    cuts = planes(grid)
    channels = range(1 if len(cuts) > 1 else max(len(x), len(y)))
    rows = [(channel, plane) for channel in channels for plane in cuts][:MAX_ROWS]
    figure, all_axes = _map_axes([plane for _, plane in rows], 4, title)
    for axes, (channel, plane) in zip(all_axes, rows, strict=True):
        if channel < len(x):
            values, name = array(x[channel][plane.index]), names.inputs[channel]
            draw_map(axes[0], values, plane, names, title="input", colours=canvas.INPUT_MAP)
            add_colour_bar(axes[:1], plane, names.label(name))
        if channel < len(y):
            pair = [array(u[channel][plane.index]) for u in (y, prediction)]
            _draw_pair(axes[1:], pair[0], pair[1], plane, names, names.outputs[channel])
    return figure


def samples_figure(batch: Batch, *, names: Names) -> "Figure":
    """Return a figure of stored samples, a row each: their inputs, then their outputs.

    Of a grid of three axes the plane through the middle of the last one. At most six rows and
    six columns.

    Raises:
        ValueError: the grid has more than three axes.
    """
    fields = [(name, batch.x[:, i], canvas.INPUT_MAP) for i, name in enumerate(names.inputs)]
    fields += [(name, batch.y[:, i], canvas.FIELD_MAP) for i, name in enumerate(names.outputs)]
    fields, rows = fields[:MAX_COLUMNS], min(len(batch), MAX_ROWS)
    if batch.uniform_grid.dims == 1:
        figure, all_axes = _line_axes(rows, len(fields), "")
    else:
        plane = planes(batch.uniform_grid)[0]
        figure, all_axes = _map_axes([plane] * rows, len(fields), "")
    for row, column in np.ndindex(all_axes.shape):
        axes, (name, field, colours) = all_axes[row, column], fields[column]
        title = name.replace("_", " ")
        if batch.uniform_grid.dims == 1:
            position = draw_line(axes, batch.uniform_grid, names, name, title=title)
            axes.plot(position, array(field[row]), color=canvas.PREDICTION)
        else:
            draw_map(
                axes, array(field[row][plane.index]), plane, names, title=title, colours=colours
            )
            add_colour_bar([axes], plane, names.label(name))
    return figure


def shared_limits(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    """Return a scale for both, which leaves the truth's range by at most a quarter of it."""
    both = _finite(np.concatenate([truth.ravel(), prediction.ravel()]))
    low, high = float(truth.min()), float(truth.max())
    margin = (high - low) / 4
    return max(float(both.min()), low - margin), min(float(both.max()), high + margin)


def _map_axes(rows: list[Plane], columns: int, title: str) -> tuple["Figure", Any]:
    heights = [plane.aspect for plane in rows]
    figure = canvas.figure(3.0 * columns, 0.4 + sum(0.95 + 2.5 * height for height in heights))
    return figure, _empty_axes(figure, len(rows), columns, title, height_ratios=heights)


def _line_axes(rows: int, columns: int, title: str) -> tuple["Figure", Any]:
    figure = canvas.figure(4.0 * columns, 0.4 + 2.7 * rows)
    return figure, _empty_axes(figure, rows, columns, title)


def _empty_axes(figure: "Figure", rows: int, columns: int, title: str, **ratios: Any) -> Any:
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold")
    all_axes = figure.subplots(rows, columns, squeeze=False, **ratios)
    for axes in all_axes.flat:
        axes.set_axis_off()
    return all_axes


def _prediction_lines(
    x: Tensor, y: Tensor, prediction: Tensor, grid: Grid, names: Names, title: str
) -> "Figure":
    rows = min(max(len(x), len(y)), MAX_ROWS)
    figure, all_axes = _line_axes(rows, 3, title)
    for row, (left, middle, right) in enumerate(all_axes):
        if row < len(x):
            position = draw_line(left, grid, names, names.inputs[row], title="input")
            left.plot(position, array(x[row]), color=canvas.GREY)
        if row < len(y):
            name, dashes = names.outputs[row], (0, (4, 2))
            position = draw_line(middle, grid, names, name, title="truth and prediction")
            middle.plot(position, array(y[row]), color=canvas.TRUTH, label="truth")
            predicted = {"color": canvas.PREDICTION, "linestyle": dashes, "label": "prediction"}
            middle.plot(position, array(prediction[row]), **predicted)
            middle.legend(frameon=False, fontsize=9)
            draw_line(right, grid, names, name, title="prediction − truth")
            right.axhline(0, color=canvas.GREY, linewidth=0.8)
            right.plot(position, array(prediction[row] - y[row]), color=canvas.ERROR)
    return figure


def _draw_pair(
    axes: Sequence["Axes"],
    truth: np.ndarray,
    prediction: np.ndarray,
    plane: Plane,
    names: Names,
    name: str,
) -> None:
    limits = shared_limits(truth, prediction)
    shared = {"colours": canvas.FIELD_MAP, "limits": limits}
    draw_map(axes[0], truth, plane, names, title="truth", **shared)
    draw_map(axes[1], prediction, plane, names, title="prediction", **shared)
    beyond = bool((prediction < limits[0]).any()), bool((prediction > limits[1]).any())
    add_colour_bar(axes[:2], plane, names.label(name), beyond=beyond)
    error = prediction - truth
    # A perfect prediction still needs a scale with a width.
    largest = float(_finite(np.abs(error)).max(initial=0.0)) or 1.0
    own = {"colours": canvas.ERROR_MAP, "limits": (-largest, largest)}
    draw_map(axes[2], error, plane, names, title="prediction − truth", **own)
    add_colour_bar(axes[2:], plane, names.label(name))


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]
