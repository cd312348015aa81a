"""Grids and times from the coordinates that foreign files store, rounded to float32 as they are."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...grid import Grid
from ..errors import SchemaError

# Rounding of stored coordinates, relative to the spacing and to the largest coordinate.
SPACING_TOLERANCE = 1e-3
FLOAT32_ROUNDING = 4 * float(np.finfo(np.float32).eps)
# Digits of the sides of published boxes; many more would catch 2π by accident.
SIGNIFICANT = 4


def spacing(values: np.ndarray, *, file: Path, place: str) -> float:
    """Distance between neighbours of uniform, ascending coordinates.

    Raises:
        SchemaError: fewer than two points, or the distances differ.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise SchemaError(
            f"coordinates of shape {values.shape}", file=file, place=place, allowed="two or more"
        )
    step = (values[-1] - values[0]) / (len(values) - 1)
    slack = SPACING_TOLERANCE * step + FLOAT32_ROUNDING * float(np.abs(values).max())
    steps = np.diff(values)
    if step <= 0 or np.abs(steps - step).max() > slack:
        raise SchemaError(
            f"distances between {steps.min():.6g} and {steps.max():.6g}",
            file=file,
            place=place,
            allowed="equal distances, ascending",
            advice="interpolate the fields to a uniform grid, then call from_arrays",
        )
    return float(step)


def cells(
    coordinates: Sequence[np.ndarray],
    periodic: Sequence[bool] | bool,
    *,
    file: Path,
    places: Sequence[str],
) -> Grid:
    """Grid whose cell centres are these coordinates; the box is moved to start at 0.

    Raises:
        SchemaError: the coordinates are not uniform.
    """
    shape = tuple(len(values) for values in coordinates)
    steps = [
        spacing(values, file=file, place=place)
        for values, place in zip(coordinates, places, strict=True)
    ]
    lengths = [rounded(step * n) for step, n in zip(steps, shape, strict=True)]
    return Grid(shape, lengths, periodic, "cell")


def uniform(
    coordinates: Sequence[np.ndarray],
    periodic: Sequence[bool],
    *,
    file: Path,
    places: Sequence[str],
) -> Grid:
    """Grid of these coordinates, moved to start at 0.

    The first coordinate is nearer to a whole number of spacings (points that include the box's
    left end) or to half of one off (cell centres).

    Raises:
        SchemaError: the coordinates are not uniform.
    """
    shape = tuple(len(values) for values in coordinates)
    steps = [
        spacing(values, file=file, place=place)
        for values, place in zip(coordinates, places, strict=True)
    ]
    starts = [float(values[0]) / step for values, step in zip(coordinates, steps, strict=True)]
    centred = [abs(start % 1 - 0.5) < 0.25 for start in starts]
    sides = [
        rounded(step * (n if wraps or middle else n - 1))
        for step, n, wraps, middle in zip(steps, shape, periodic, centred, strict=True)
    ]
    if all(centred):
        return Grid(shape, sides, periodic, "cell")
    # Cell centres beside nodes are nodes that begin half a spacing after the end.
    offset = [
        side / n / 2 if middle else 0.0
        for side, n, middle in zip(sides, shape, centred, strict=True)
    ]
    return Grid(shape, sides, periodic, "node", offset)


def left_ends(coordinates: Sequence[np.ndarray], grid: Grid) -> list[float]:
    """Where the box of `cells` began before it was moved."""
    pairs = zip(coordinates, grid.spacing, strict=True)
    starts = [(float(values[0]) - step / 2, step) for values, step in pairs]
    return [rounded(a) if abs(a) > SPACING_TOLERANCE * step else 0.0 for a, step in starts]


def times(
    values: np.ndarray | None, frames: int, *, file: Path, place: str, surplus: int = 0
) -> tuple[float, ...]:
    """Times of the frames as this layout stores them (float32); frame numbers if none are known.

    Args:
        values: stored times.
        frames: number of frames.
        surplus: how many times may follow the last frame's.

    Raises:
        SchemaError: there are too few or too many times, or they do not ascend.
    """
    if values is None:
        return tuple(float(number) for number in range(frames))
    values = np.asarray(values, np.float32)
    if values.ndim != 1 or not 0 <= len(values) - frames <= surplus:
        allowed = f"{frames}" + (f" or {frames + surplus}" if surplus else "")
        raise SchemaError(
            f"{values.shape} times for {frames} frames",
            file=file,
            place=place,
            allowed=f"{allowed} times",
        )
    values = values[:frames]
    if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        raise SchemaError("times that do not ascend", file=file, place=place, allowed="ascending")
    return tuple(float(value) for value in values)


def common_row(values: np.ndarray, *, file: Path, place: str) -> np.ndarray:
    """The row that all samples share, of values with the samples first.

    Raises:
        SchemaError: samples differ, or there is none.
    """
    values = np.asarray(values)
    if not values.ndim or not len(values):
        raise SchemaError(f"shape {values.shape}", file=file, place=place, allowed="one a sample")
    differs = [k for k in range(len(values)) if not np.array_equal(values[k], values[0])]
    if differs:
        raise SchemaError(
            f"sample {differs[0]} differs from sample 0",
            file=file,
            place=place,
            allowed="the same grid and times for all samples",
            advice="convert the samples that share them, or interpolate first",
        )
    return np.asarray(values[0])


def rounded(value: float) -> float:
    """The value with four digits if it is that number up to float32 rounding, else itself."""
    short = float(f"{value:.{SIGNIFICANT}g}")
    return short if math.isclose(value, short, rel_tol=FLOAT32_ROUNDING) else value
