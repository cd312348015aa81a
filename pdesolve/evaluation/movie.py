"""A rollout as a moving picture: truth, prediction and error at each time, one GIF."""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..datasets import Dataset, Mixture
from ..datasets.windows import quantity
from ..grid import Grid
from . import canvas
from .fields import Names, add_colour_bar, array, draw_line, draw_map, planes
from .inference import Model, predictions
from .rollout import planned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Fields = tuple[np.ndarray, np.ndarray]
Scene = tuple["Figure", Callable[[int], None]]

# More pictures or rows are not looked at, and make a report heavy.
MAX_PICTURES, MAX_ROWS = 50, 3
# A whole rollout takes about this long, in seconds; a picture stands between the two limits.
DURATION, SHORTEST, LONGEST = 6.0, 0.08, 0.6
DOTS_PER_INCH = 72
# The range of the truth is enlarged by this share of it, no more, for predictions beyond it.
MARGIN = 0.25
COLOURS = 200


def rollout_gif(
    model: Model,
    dataset: Dataset | Mixture,
    index: int = 0,
    *,
    hops: Sequence[int] | None = None,
    device: torch.device | str | None = None,
) -> bytes:
    """Return the rollout of one trajectory as an animated GIF that plays for ever.

    Args:
        model, dataset, hops, device: see `rollout.rollout_errors`.
        index: of the trajectory.

    Raises:
        ValueError, SchemaError: see `rollout.rollout_errors`.
    """
    plan = planned(model, dataset, hops)
    (batch, prediction), *_ = predictions(plan.model, plan.dataset, [index], device=device)
    truth, guess = (
        u[0, plan.channels].unflatten(0, (-1, plan.width)) for u in (batch.y, prediction)
    )
    names = [quantity(name) for name in plan.dataset.output_names[: plan.width]]
    units = {quantity(name): unit for name, unit in dataset.units.items()}
    return gif(truth, guess, plan.times, grid=batch.uniform_grid, names=Names((), names, units))


def gif(
    truth: Float[Tensor, "t c *grid"],
    prediction: Float[Tensor, "t c *grid"],
    times: Sequence[float],
    *,
    grid: Grid,
    names: Names,
) -> bytes:
    """Return truth, prediction and error against time as an animated GIF.

    Colours and axes keep their scale over all times. A row for each of the first three channels;
    of three axes the plane through the middle of the last one; of many times every n-th.

    Args:
        truth, prediction: fields at each time.
        times: of the fields.
        grid: where they lie.
        names: of the channels (`Names.outputs`), with their units.
    """
    every = -(-len(times) // MAX_PICTURES)
    # The last one is always among them.
    chosen = list(range(len(times) - 1, -1, -every))[::-1]
    pair = array(truth[:, :MAX_ROWS]), array(prediction[:, :MAX_ROWS])
    figure, show = (_lines if grid.dims == 1 else _maps)(pair, grid, names)
    pictures = []
    for k in chosen:
        show(k)
        figure.suptitle(f"t = {times[k]:.4g}", fontsize=11)
        pictures.append(_pixels(figure))
    return _animated(pictures)


def _maps(pair: Fields, grid: Grid, names: Names) -> Scene:
    plane = planes(grid)[0]
    truth, prediction = (u[(slice(None), slice(None), *plane.index)] for u in pair)
    error = prediction - truth
    rows = truth.shape[1]
    figure = canvas.figure(8.4, 0.5 + rows * (0.9 + 2.6 * plane.aspect))
    figure.set_dpi(DOTS_PER_INCH)
    all_axes = figure.subplots(rows, 3, squeeze=False)
    for row, axes in enumerate(all_axes):
        low, high = _limits(truth[:, row], prediction[:, row])
        shared: dict[str, Any] = {"colours": canvas.FIELD_MAP, "limits": (low, high)}
        draw_map(axes[0], truth[0, row], plane, names, title="truth", **shared)
        draw_map(axes[1], prediction[0, row], plane, names, title="prediction", **shared)
        add_colour_bar(axes[:2], plane, names.label(names.outputs[row]))
        # An error beyond the size of the truth is no better for being told apart.
        largest = min(_largest(error[:, row]), high - low)
        own: dict[str, Any] = {"colours": canvas.ERROR_MAP, "limits": (-largest, largest)}
        draw_map(axes[2], error[0, row], plane, names, title="prediction − truth", **own)
        add_colour_bar(axes[2:], plane, names.label(names.outputs[row]))

    def show(k: int) -> None:
        for row, axes in enumerate(all_axes):
            for one, field in zip(axes, (truth, prediction, error), strict=True):
                one.images[0].set_data(field[k, row].T)

    return figure, show


def _lines(pair: Fields, grid: Grid, names: Names) -> Scene:
    truth, prediction = pair
    rows = truth.shape[1]
    figure = canvas.figure(6.0, 0.5 + 2.6 * rows)
    figure.set_dpi(DOTS_PER_INCH)
    drawn = []
    for row, axes in enumerate(figure.subplots(rows, 1, squeeze=False)[:, 0]):
        position = draw_line(axes, grid, names, names.outputs[row], title="")
        axes.set_ylim(*_limits(truth[:, row], prediction[:, row]))
        solid = axes.plot(position, truth[0, row], color=canvas.TRUTH, label="truth")
        dashed = axes.plot(
            position, prediction[0, row], color=canvas.PREDICTION, ls="--", label="prediction"
        )
        axes.legend(frameon=False, fontsize=9, loc="upper right")
        drawn.append((solid[0], dashed[0]))

    def show(k: int) -> None:
        for row, lines in enumerate(drawn):
            for line, field in zip(lines, pair, strict=True):
                line.set_ydata(field[k, row])

    return figure, show


def _limits(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    """Range of the truth, and of a prediction that leaves it by a little."""
    both = np.concatenate([truth.ravel(), prediction.ravel()])
    both = both[np.isfinite(both)]
    low, high = float(truth.min()), float(truth.max())
    margin = MARGIN * (high - low) or 1.0
    low, high = max(float(both.min()), low - margin), min(float(both.max()), high + margin)
    return (low, high) if low < high else (low - margin, high + margin)


def _largest(error: np.ndarray) -> float:
    # A perfect prediction still needs a scale with a width.
    return float(np.abs(error[np.isfinite(error)]).max(initial=0.0)) or 1.0


def _pixels(figure: "Figure") -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    agg = FigureCanvasAgg(figure)
    agg.draw()
    # The first drawing found the places; another one would let them tremble.
    figure.set_layout_engine("none")
    return np.asarray(agg.buffer_rgba())[..., :3].copy()


def _animated(pictures: Sequence[np.ndarray]) -> bytes:
    from PIL import Image

    images = [Image.fromarray(pixels) for pixels in pictures]
    # One palette for all: colours of their own would flicker.
    seen = np.concatenate([pictures[k] for k in (0, len(pictures) // 2, -1)])
    palette = Image.fromarray(seen).quantize(COLOURS, dither=Image.Dither.NONE)
    first, *others = (one.quantize(palette=palette, dither=Image.Dither.NONE) for one in images)
    pause = 1000 * min(max(DURATION / len(images), SHORTEST), LONGEST)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=round(pause), loop=0)
    return buffer.getvalue()
