"""Multi-grid domain decomposition: patches that see far at low resolution, and the way back.

A grid of S = n p points per axis, n = 2^levels, is cut into n patches of p points per axis. Patch
i comes with levels + 1 windows of p + 2P points each, stacked as channels: level l shows every
2^l-th point around the patch, so the windows have equal sizes and growing views. Indices on axis j:

    i p - ⌊(2^l - 1) p / 2⌋ + 2^l (t - P),     t = 0 ... p + 2P - 1

which centres each window on its patch (of odd p, half a point to the right), whatever the size,
if a point of level l counts for the 2^l that begin at it. Level 0 is the patch itself with P points
around it; level `levels` without padding spans the box.

Source: Kossaifi et al. 2024, arXiv 2310.00120, section on multi-grid domain decomposition. Its code
(neuraloperator 2.0.0) strides the field before it cuts, so where 2^(l+1) does not divide p its
windows are off the centre, by a different distance for each patch where 2^l does not:
`windows="published"`. Elsewhere the two agree.
"""

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

Boundary = Literal["circular", "replicate", "zero"]
Windows = Literal["centred", "published"]


def patch(
    x: Shaped[Tensor, "b c *grid"],
    levels: int,
    padding: Sequence[int] | int = 0,
    *,
    boundary: Boundary = "circular",
    windows: Windows = "centred",
    part: range | None = None,
) -> Shaped[Tensor, "patches c_levels *window"]:
    """Return the windows of the patches, those of a sample in a row, the last axis fastest.

    Args:
        x: field; each axis divisible by 2^levels.
        levels: how often the grid is halved; 0 gives one patch a sample.
        padding: P, points on both sides of a window, one number or one per axis. Any number.
        boundary: what lies beyond the grid: its other side, its last point, or zero.
        windows: see the top of the file.
        part: return these rows only, out of b 2^(levels d).

    Returns:
        Shape (b 2^(levels d), (levels + 1) c, p + 2P, ...); channels: all of level 0, of level 1...

    Raises:
        ValueError: sizes or options that do not fit.

    >>> patch(torch.arange(8).reshape(1, 1, 8), levels=1).tolist()
    [[[0, 1, 2, 3], [6, 0, 2, 4]], [[4, 5, 6, 7], [2, 4, 6, 0]]]
    """
    grid = tuple(x.shape[2:])
    padding = _per_axis(padding, len(grid))
    _check(grid, levels, boundary, windows)
    count = 2**levels
    rows = torch.arange(len(x) * count ** len(grid), device=x.device)
    rows = rows if part is None else rows[part.start : part.stop : part.step]
    sample, *places = torch.unravel_index(rows, (len(x), *[count] * len(grid)))
    blocks = []
    for level in range(levels + 1):
        axes = [
            window_indices(size, levels, level, p, windows=windows).to(x.device)[place]
            for size, p, place in zip(grid, padding, places, strict=True)
        ]
        blocks.append(_gathered(x, sample, axes, boundary))
    return torch.cat(blocks, 1)


def window_indices(
    size: int, levels: int, level: int, padding: int = 0, *, windows: Windows = "centred"
) -> Int[Tensor, "patches window"]:
    """Return the points of an axis that the windows of one level show, not yet inside 0 ... size.

    Args:
        size: points of the axis, divisible by 2^levels.
        levels, level: level 0 ... levels.
        padding: points on both sides of a window.
        windows: see the top of the file.

    >>> window_indices(36, levels=2, level=2)[:, 0].tolist()
    [-13, -4, 5, 14]
    """
    points, step = size // 2**levels, 2**level
    i, t = torch.arange(2**levels)[:, None], torch.arange(points + 2 * padding) - padding
    if windows == "centred":
        return i * points - (step - 1) * points // 2 + step * t
    stride = points // step
    before = -(-(points + (2**levels - 1) * stride - size // step) // 2)
    return step * (i * stride - before + t)


def crop(
    patches: Shaped[Tensor, "patches c *window"], padding: Sequence[int] | int
) -> Shaped[Tensor, "patches c *core"]:
    """Return the patches without the padding that `patch` put around them."""
    for axis, points in enumerate(_per_axis(padding, patches.ndim - 2), start=2):
        patches = patches.narrow(axis, points, patches.shape[axis] - 2 * points)
    return patches


def stitch(patches: Shaped[Tensor, "patches c *core"], levels: int) -> Shaped[Tensor, "b c *grid"]:
    """Return the fields of which these are the patches, in the order of `patch`, cropped.

    Raises:
        ValueError: their number is not 2^levels per axis for each of some samples.
    """
    dims, count = patches.ndim - 2, 2**levels
    if len(patches) % count**dims:
        raise ValueError(
            f"patches has {len(patches)} rows, expected a multiple of {count**dims}, the patches "
            f"of a sample with levels {levels} on {dims} axes: stitch all patches of each sample"
        )
    field = patches.unflatten(0, (-1, *[count] * dims))
    # (b, i, j, c, p, q) to (b, c, i, p, j, q).
    pairs = itertools.chain.from_iterable((1 + j, 2 + dims + j) for j in range(dims))
    field = field.permute(0, 1 + dims, *pairs)
    return field.reshape(*field.shape[:2], *[count * size for size in patches.shape[2:]])


def cut(field: Shaped[Tensor, "b c *grid"], levels: int) -> Shaped[Tensor, "patches c *core"]:
    """Return the patches of fields, without padding or other levels: the inverse of `stitch`.

    Raises:
        ValueError: an axis is not divisible by 2^levels.

    >>> cut(torch.arange(4).reshape(1, 1, 4), levels=1).tolist()
    [[[0, 1]], [[2, 3]]]
    """
    grid, dims, count = tuple(field.shape[2:]), field.ndim - 2, 2**levels
    _check(grid, levels, "circular", "centred")
    split = [n for size in grid for n in (count, size // count)]
    patches = field.reshape(*field.shape[:2], *split)
    # (b, c, i, p, j, q) to (b, i, j, c, p, q).
    places, points = range(2, 2 + 2 * dims, 2), range(3, 2 + 2 * dims, 2)
    return patches.permute(0, *places, 1, *points).flatten(0, dims)


def _gathered(x: Tensor, sample: Tensor, axes: Sequence[Tensor], boundary: Boundary) -> Tensor:
    """Rows x[sample[r], :, axes[0][r], axes[1][r], ...] as outer products: (rows, c, *window)."""
    dims = len(axes)
    # Each index is shaped to meet (rows, c, *window).
    index = [sample.reshape(-1, *[1] * (dims + 1))]
    index.append(torch.arange(x.shape[1], device=x.device).reshape(1, -1, *[1] * dims))
    inside = None
    for j, wanted in enumerate(axes):
        size = x.shape[2 + j]
        shape = [len(wanted), 1, *[1] * dims]
        shape[2 + j] = -1
        found = wanted % size if boundary == "circular" else wanted.clamp(0, size - 1)
        index.append(found.reshape(shape))
        if boundary == "zero":
            here = (found == wanted).reshape(shape)
            inside = here if inside is None else inside & here
    rows = x[tuple(index)]
    return rows if inside is None else rows * inside


def _per_axis(padding: Sequence[int] | int, dims: int) -> tuple[int, ...]:
    widths = (padding,) * dims if isinstance(padding, int) else tuple(padding)
    if len(widths) != dims or min(widths) < 0:
        raise ValueError(
            f"padding is {padding}, expected a number of points >= 0, or one for each of the "
            f"{dims} axes"
        )
    return widths


def _check(grid: tuple[int, ...], levels: int, boundary: str, windows: str) -> None:
    if levels < 0 or any(size % 2**levels for size in grid):
        raise ValueError(
            f"levels is {levels} on a grid of {grid} points, expected >= 0 and each axis divisible "
            f"by 2^levels = {2 ** max(levels, 0)}: take fewer levels, or resample the field"
        )
    if boundary not in ("circular", "replicate", "zero"):
        raise ValueError(
            f'boundary is {boundary!r}, expected "circular", "replicate" or "zero": "circular" '
            f"for periodic fields"
        )
    if windows not in ("centred", "published"):
        raise ValueError(
            f'windows is {windows!r}, expected "centred", or "published" for the windows of '
            f"neuraloperator 2.0.0"
        )
