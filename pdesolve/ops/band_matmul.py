"""The lowest Fourier modes of a real field by products with real matrices.

The same maps as in `band`, which is their specification, as matrix products without complex
numbers: for the few modes of a spectral convolution they are faster than an FFT of everything,
and compilers and exporters know all their operations. Coefficients are pairs of tensors (real
part, imaginary part) of shape (*k, b, c): modes first, which is the order of the product with the
weights. Fields may be contiguous or channels-last, and are not copied to change that.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .band import kept
from .band_matrices import analysis, synthesis
from .kernels import Parts
from .memory import is_channels_last

# Multiplications of the products over those of an FFT, up to which the products are faster.
CHANNELS_LAST_LIMIT, CONTIGUOUS_LIMIT = 9.0, 4.0


def lowest_modes(x: Float[Tensor, "b c *grid"], modes: Sequence[int]) -> Parts:
    """Real and imaginary parts (*k, b, c) of the coefficients that `band.lowest_modes` returns."""
    dims, grid = len(modes), x.shape[2:]
    channels_last = is_channels_last(x)
    x = x.movedim(1, -1) if channels_last else x
    first = 1 if channels_last else 2
    # The last axis first: all further products see its kept columns only.
    for axis in reversed(range(dims)):
        last = axis == dims - 1
        matrix = analysis(grid[axis], _highest(grid[axis], modes[axis], last), last=last, like=x)
        x = _along(matrix, x, first + axis)
    x = x.movedim(0, -2) if channels_last else x.movedim((0, 1), (-2, -1))
    real, imaginary = x.unflatten(dims - 1, (2, -1)).unbind(dims - 1)
    for axis in range(dims - 1):
        real, imaginary = _signed(real, imaginary, axis, kept(grid[axis], modes[axis]))
    return real, imaginary


def field_of_modes(
    parts: Parts,
    modes: Sequence[int],
    grid: Sequence[int],
    shape: Sequence[int],
    *,
    constant: Float[Tensor, " c"] | None = None,
    channels_last: bool = False,
) -> Float[Tensor, "b c *shape"]:
    """Real field of these coefficients, as `band.field_of_modes`.

    Args:
        parts: real and imaginary parts (*k, b, c).
        modes, grid, shape: as there.
        constant: number to add to each channel.
        channels_last: memory format of the result.
    """
    dims = len(modes)
    real, imaginary = parts
    for axis in range(dims - 1):
        real, imaginary = _unsigned(real, imaginary, axis, kept(grid[axis], modes[axis]))
    first = 1 if channels_last else 2
    to = (0, -1) if channels_last else (0, 1)
    x = torch.stack([part.movedim((-2, -1), to) for part in (real, imaginary)], first + dims - 1)
    x = x.flatten(first + dims - 1, first + dims)
    if constant is not None:
        # The amplitude of k = 0, which comes first on all axes: one mode instead of every point.
        zero = x.movedim(1, -1) if not channels_last else x
        zero[(slice(None), *[0] * dims)] += constant
    for axis in range(dims):
        last = axis == dims - 1
        highest = _highest(grid[axis], modes[axis], last)
        matrix = synthesis(shape[axis], highest, grid[axis], last=last, like=x)
        x = _along(matrix, x, first + axis)
    return x.movedim(-1, 1) if channels_last else x


def pays(grid: Sequence[int], modes: Sequence[int], *, channels_last: bool) -> bool:
    """Whether the products are expected to be faster than FFTs, from the sizes alone.

    Their multiplications are compared with those of a real FFT of N points, (5/4) N log₂ N. They
    run at the speed of matrix products, many times that of an FFT, and FFTs of channels-last fields
    need a copy on top, which together make the limits; measured on one CPU thread, one to three
    axes of 32 to 4096 points, forward and backward.
    """
    size, products = math.prod(grid), 0
    for axis in reversed(range(len(grid))):
        last = axis == len(grid) - 1
        highest = _highest(grid[axis], modes[axis], last)
        waves = 2 * highest + 2 if last else 2 * highest + 1
        products += waves * size
        size = size // grid[axis] * waves
    points = math.prod(grid)
    limit = CHANNELS_LAST_LIMIT if channels_last else CONTIGUOUS_LIMIT
    return products <= limit * 1.25 * points * math.log2(points + 1)


def _highest(points: int, modes: int, last: bool) -> int:
    """Largest |k| that is kept."""
    return min(modes, points) // 2 if last else len(kept(points, modes)) // 2


def _along(matrix: Tensor, x: Tensor, dim: int) -> Tensor:
    """Product of a matrix (new, old) with one axis of a tensor."""
    if dim == x.ndim - 1:
        return x @ matrix.T
    behind = x.shape[dim + 1 :]
    y = matrix @ x.reshape(*x.shape[: dim + 1], -1)
    return y.reshape(*y.shape[:-1], *behind)


def _signed(real: Tensor, imaginary: Tensor, dim: int, wavenumbers: Sequence[int]) -> Parts:
    """Rows [cos; sin] of an axis to its modes ±k: û(±k) = c_k ∓ i s_k."""
    negative = len(wavenumbers) // 2
    positive = len(wavenumbers) - negative
    cos_real, sin_real = real.split([negative + 1, negative], dim)
    cos_imaginary, sin_imaginary = imaginary.split([negative + 1, negative], dim)
    zero = (cos_real.narrow(dim, 0, 1), cos_imaginary.narrow(dim, 0, 1))
    cos_real, cos_imaginary = (t.narrow(dim, 1, negative) for t in (cos_real, cos_imaginary))
    plus_real, plus_imaginary = cos_real + sin_imaginary, cos_imaginary - sin_real
    minus_real, minus_imaginary = cos_real - sin_imaginary, cos_imaginary + sin_real
    # An even number of modes has -h without +h.
    kept_plus = positive - 1
    return (
        torch.cat([zero[0], plus_real.narrow(dim, 0, kept_plus), minus_real], dim),
        torch.cat([zero[1], plus_imaginary.narrow(dim, 0, kept_plus), minus_imaginary], dim),
    )


def _unsigned(real: Tensor, imaginary: Tensor, dim: int, wavenumbers: Sequence[int]) -> Parts:
    """Modes ±k of an axis to its rows [cos; sin]: c_k = û(k) + û(-k), s_k = i (û(k) - û(-k))."""
    negative = len(wavenumbers) // 2
    pairs = len(wavenumbers) - negative - 1
    sizes = [1, pairs, pairs, negative - pairs]
    zero_real, plus_real, minus_real, alone_real = real.split(sizes, dim)
    zero_imaginary, plus_imaginary, minus_imaginary, alone_imaginary = imaginary.split(sizes, dim)
    return (
        torch.cat([zero_real, plus_real + minus_real, alone_real,
                   minus_imaginary - plus_imaginary, alone_imaginary], dim),
        torch.cat([zero_imaginary, plus_imaginary + minus_imaginary, alone_imaginary,
                   plus_real - minus_real, -alone_real], dim),
    )  # fmt: skip
