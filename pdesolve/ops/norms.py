"""Norms of fields, one number a sample, and errors relative to a target.

All norms are averaged over the points, not integrated, and joined over channels: multiply the
square by the volume of the box for the integral. Their gradient at a zero field is zero, the
subgradient that `torch.linalg.vector_norm` takes, so that a loss that reaches zero stays finite
without an epsilon under the root.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..grid import Grid
from . import difference, fourier


def misfit(prediction: Float[Tensor, "..."], target: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return prediction - target, refusing to broadcast one against the other.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {tuple(prediction.shape)}, expected that of the target, "
            f"{tuple(target.shape)}: match channels and grid, broadcasting would hide an error"
        )
    return prediction - target


def ratio(error: Float[Tensor, " b"], reference: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Return error / reference, or the error itself where the reference is zero.

    Zero means at most the root of the smallest normal number of the dtype (1e-19 in float32,
    1e-154 in float64): the squares of a smaller field underflow, so its norm is not known. Such a
    target has no relative error. Dividing by a small epsilon instead would let it rule the mean
    and the gradient of its batch, and a larger epsilon would bias fields of small units.
    """
    zero = math.sqrt(torch.finfo(reference.dtype).tiny)
    return error / torch.where(reference > zero, reference, 1)


def relative_lp(
    prediction: Float[Tensor, "b c *grid"],
    target: Float[Tensor, "b c *grid"],
    *,
    p: float = 2.0,
    mask: Float[Tensor, "b c_mask *grid"] | Bool[Tensor, "b c_mask *grid"] | None = None,
) -> Float[Tensor, " b"]:
    """Relative L^p error of each sample, over its channels and points jointly.

        (Σ |prediction - target|^p)^(1/p) / (Σ |target|^p)^(1/p)

    Args:
        prediction: (b, c, *grid).
        target: (b, c, *grid), same units.
        p: >= 1; infinity gives the largest error over the largest target.
        mask: non-zero inside the domain, (b, 1 or c, *grid). Points outside do not count,
            whatever they hold, NaN included.

    Returns:
        (b,), 1; where the target is zero (see `ratio`) the absolute error, the mean over the
        counted values of |prediction - target|^p to the power 1/p. A sample without a point in
        the domain gives 0.

    Raises:
        ValueError: shapes differ, or p is below 1.
    """
    if not p >= 1:
        raise ValueError(f"p is {p}, expected >= 1: use 1, 2 or infinity, below 1 is no norm")
    error = misfit(prediction, target)
    if mask is None:
        count = target[0].numel()
    else:
        inside = _inside(mask, target)
        error, target = torch.where(inside, error, 0), torch.where(inside, target, 0)
        count = inside.flatten(1).sum(1).clamp_min(1).to(target.dtype)
    scale = count ** (1 / p)
    return ratio(_length(error, p) / scale, _length(target, p) / scale)


def root_mean_square(u: Float[Tensor, "b c *grid"]) -> Float[Tensor, " b"]:
    """L² norm of each sample on any grid: the root of Σ_channels mean(u²) over the points."""
    return _length(u) / math.sqrt(math.prod(u.shape[2:]))


def sobolev(
    u: Float[Tensor, "b c *grid"],
    order: float,
    lengths: Sequence[float],
    *,
    homogeneous: bool = False,
    shift: float = 1.0,
) -> Float[Tensor, " b"]:
    """H^s norm of each periodic sample, volume averaged, for any real order s.

        ‖u‖_s² = Σ_channels Σ_k (α + |κ|²)^s |û_k|²          homogeneous: Σ_{k≠0} |κ|^(2s) |û_k|²

    Order 0 is `root_mean_square` (Parseval). Every mode counts, Nyquist too, so order 1 also sees
    a checkerboard. The homogeneous norm ignores the mean of u; of order -1 it is the dual of ‖∇·‖
    on fields of zero mean.

    Args:
        u: field (b, c, *grid).
        order: s, any real number. Negative orders weigh large scales, positive ones small scales.
        lengths: side of the periodic box per axis, > 0: they set the balance of the terms.
        homogeneous: leave out the mean and the shift.
        shift: α > 0, in 1/length²; not used by the homogeneous norm.

    Returns:
        (b,), in units of u per length^s when 1/α is counted as length².

    Raises:
        ValueError: lengths do not fit u, or the shift is not positive.

    >>> u = torch.cos(2 * torch.pi * torch.arange(8) / 8).reshape(1, 1, 8)
    >>> round(sobolev(u, 1, (2 * torch.pi,)).item(), 6)  # root of (1 + 1²) times the mean square ½
    1.0
    """
    shape = u.shape[2:]
    if len(lengths) != len(shape):
        raise ValueError(
            f"lengths has {len(lengths)} entries, expected {len(shape)} for u of shape "
            f"{tuple(u.shape)}: one side of the box per grid axis, u is (b, c, *grid)"
        )
    if not (shift > 0 or homogeneous):
        raise ValueError(
            f"shift is {shift}, expected > 0: homogeneous=True is the norm without a shift"
        )
    squared = fourier.squared_wavenumber(shape, lengths, dtype=u.dtype, device=u.device)
    if homogeneous:
        weights = torch.where(squared > 0, squared ** (order / 2), 0)
    else:
        weights = (shift + squared) ** (order / 2)
    # rfft halves the last axis: interior columns stand for two modes.
    counts = fourier.half_spectrum_weights(shape[-1], dtype=u.dtype, device=u.device)
    coefficients = torch.fft.rfftn(u, dim=tuple(range(2, u.ndim)), norm="forward")
    return _length(torch.view_as_real(weights * counts.sqrt() * coefficients))


def h1_difference(
    u: Float[Tensor, "b c *grid"], grid: Grid, *, homogeneous: bool = False
) -> Float[Tensor, " b"]:
    """H^1 norm of each sample by finite differences, for grids with axes that are not periodic.

        ‖u‖_1² = Σ_channels mean(u² + |∇u|²)                   homogeneous: without u²

    The mean is over the stored points, the gradient that of `difference.gradient` (second order,
    one-sided at the ends) with the physical spacing. Blind to the gradient of a checkerboard; on
    fully periodic grids `sobolev` of order 1 is the better choice.

    Args:
        u: field (b, c, *grid.shape).
        grid: where the points are.
        homogeneous: the gradient alone.

    Returns:
        (b,), in units of u, lengths counted in the unit of the grid.

    Raises:
        ValueError: u does not lie on the grid, or an axis is too short (see `difference`).
    """
    parts = difference.gradient(u, grid)
    if not homogeneous:
        parts = torch.cat([u[None], parts])
    return root_mean_square(torch.cat(list(parts), 1))


def _length(values: Tensor, p: float = 2.0) -> Tensor:
    return torch.linalg.vector_norm(values.flatten(1), p, dim=1)


def _inside(mask: Tensor, target: Tensor) -> Tensor:
    one_or_all = mask.ndim > 1 and mask.shape[1] in (1, target.shape[1])
    if not (one_or_all and mask.shape[0] == len(target) and mask.shape[2:] == target.shape[2:]):
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, expected that of the target, "
            f"{tuple(target.shape)}, with 1 or all channels: expand it to every sample"
        )
    return mask.bool().expand_as(target)
