"""The lowest Fourier modes of a real field: cut out of one grid, put back on any grid.

Axis by axis, a field of n points keeps, of `modes` m that count both signs,

    other axes   k = 0, 1, ..., min(m - m//2, (n + 1)//2) - 1, then -1, -2, ..., -min(m//2, n//2)
    last axis    k = 0, ..., min(m, n)//2                                    (conjugates implied)

so for even m the mode -m/2 is kept without +m/2, as in the published Fourier neural operators.
Coefficients are amplitudes (norm "forward"): they do not depend on the number of points.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def kept(points: int, modes: int) -> tuple[int, ...]:
    """Wavenumbers that an axis other than the last keeps, in their order: 0, 1, ..., -1, -2, ... .

    >>> kept(8, 6)
    (0, 1, 2, -1, -2, -3)
    """
    positive, negative = min(modes - modes // 2, (points + 1) // 2), min(modes // 2, points // 2)
    return (*range(positive), *range(-1, -negative - 1, -1))


def lowest_modes(x: Float[Tensor, "b c *grid"], modes: Sequence[int]) -> Complex[Tensor, "b c *k"]:
    """Fourier coefficients of the kept modes of a field, over its last len(modes) axes.

    Args:
        x: real field, float32 or float64.
        modes: modes per axis, both signs counted; larger than the grid is allowed.
    """
    # Cutting after each axis: the following transforms only see columns that are kept.
    spectrum = torch.fft.rfft(x, norm="forward")[..., : modes[-1] // 2 + 1]
    for axis in reversed(range(len(modes) - 1)):
        dim = axis - len(modes)
        spectrum = torch.fft.fft(spectrum, dim=dim, norm="forward")
        bins = [k % x.shape[dim] for k in kept(x.shape[dim], modes[axis])]
        spectrum = spectrum.index_select(dim, torch.tensor(bins, device=x.device))
    return spectrum


def field_of_modes(
    spectrum: Complex[Tensor, "b c *k"],
    modes: Sequence[int],
    grid: Sequence[int],
    shape: Sequence[int],
) -> Float[Tensor, "b c *shape"]:
    """Real field of the coefficients that `lowest_modes` of a field on `grid` returned.

    The field is the trigonometric polynomial of these modes, evaluated at the points of `shape`.
    On a coarser grid the modes |k| > n/2 are dropped, on a finer one the Nyquist mode of the old
    grid, which stood for both signs, is shared between them.

    Args:
        spectrum: coefficients, in the order described at the top of the file.
        modes: as given to `lowest_modes`.
        grid: points per axis of the grid that the coefficients came from.
        shape: points per axis of the result.
    """
    for axis in range(len(modes) - 1):
        dim = axis - len(modes)
        wavenumbers = kept(grid[axis], modes[axis])
        spectrum = _in_fft_order(spectrum, dim, wavenumbers, grid[axis], shape[axis])
        spectrum = torch.fft.ifft(spectrum, dim=dim, norm="forward")
    spectrum = spectrum[..., : shape[-1] // 2 + 1]
    ends = _end_weights(spectrum, grid[-1], shape[-1])
    spectrum = torch.view_as_complex(torch.view_as_real(spectrum) * ends)
    return torch.fft.irfft(spectrum, n=shape[-1], norm="forward")


def _in_fft_order(
    spectrum: Tensor, dim: int, wavenumbers: Sequence[int], old: int, new: int
) -> Tensor:
    """Coefficients of these wavenumbers as the `new` bins 0, 1, ..., -1 of an inverse FFT."""
    # Coarser: |k| > new/2 is dropped and, for even `new`, both signs of new/2 share a bin.
    parts = [(row, k, 1.0) for row, k in enumerate(wavenumbers) if 2 * abs(k) <= new]
    if new > old and 2 * min(wavenumbers) == -old:
        # Finer: the Nyquist mode of the old grid stood for both signs, which get half each.
        row = wavenumbers.index(-old // 2)
        parts.remove((row, -old // 2, 1.0))
        parts += [(row, -old // 2, 0.5), (row, old // 2, 0.5)]
    rows, bins, shares = zip(*parts, strict=True)
    shape = list(spectrum.shape)
    shape[dim] = new
    share = torch.tensor(shares, dtype=spectrum.real.dtype, device=spectrum.device)
    chosen = spectrum.index_select(dim, torch.tensor(rows, device=spectrum.device))
    chosen = chosen * share.reshape(-1, *[1] * (-1 - dim))
    target = torch.tensor([k % new for k in bins], device=spectrum.device)
    return spectrum.new_zeros(shape).index_add(dim, target, chosen)


def _end_weights(spectrum: Tensor, old: int, new: int) -> Tensor:
    """Factors (k, 2) for real and imaginary part of the columns of the last axis.

    Columns 0 and Nyquist of a real field are real. The inverse FFT of the CPU drops their
    imaginary part, cuFFT does not: without the zeros the two machines would differ.
    """
    columns = spectrum.shape[-1]
    weights = torch.ones(columns, 2, dtype=spectrum.real.dtype, device=spectrum.device)
    weights[0, 1] = 0
    nyquist, odd = divmod(min(old, new), 2)
    if not odd and columns > nyquist:
        # Interior columns stand for two conjugate modes, a Nyquist column for one.
        weights[nyquist, 0] = 1 if new == old else (0.5 if new > old else 2)
        weights[nyquist, 1] = 0
    return weights
