"""The lowest Fourier modes of a real field: cut out of one grid, put back on any grid.

Axis by axis, a field of n points keeps, of `modes` m that count both signs,

    other axes   k = -min(m//2, n//2), ..., min(m - m//2, (n + 1)//2) - 1      in this order
    last axis    k = 0, ..., min(m, n)//2                                      (conjugates implied)

so for even m the mode -m/2 is kept without +m/2, as in the published Fourier neural operators.
Coefficients are amplitudes (norm "forward"): they do not depend on the number of points.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def kept(points: int, modes: int) -> range:
    """Wavenumbers that an axis other than the last keeps, ascending."""
    return range(-min(modes // 2, points // 2), min(modes - modes // 2, (points + 1) // 2))


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
        wavenumbers = kept(x.shape[dim], modes[axis])
        spectrum = torch.fft.fft(spectrum, dim=dim, norm="forward")
        negative = spectrum.narrow(dim, x.shape[dim] + wavenumbers.start, -wavenumbers.start)
        positive = spectrum.narrow(dim, 0, wavenumbers.stop)
        spectrum = torch.cat([negative, positive], dim)
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


def _in_fft_order(spectrum: Tensor, dim: int, wavenumbers: range, old: int, new: int) -> Tensor:
    """Coefficients of ascending wavenumbers as the `new` bins 0, 1, ..., -1 of an inverse FFT."""
    negative, positive = spectrum.split([-wavenumbers.start, wavenumbers.stop], dim)
    if new > old and 2 * negative.shape[dim] == old:
        shared = negative.narrow(dim, 0, 1) / 2
        negative = torch.cat([shared, negative.narrow(dim, 1, old // 2 - 1)], dim)
        positive = torch.cat([positive, shared], dim)
    if new < old:
        negative, positive = _cut(negative, positive, dim, new)
    between = list(spectrum.shape)
    between[dim] = new - negative.shape[dim] - positive.shape[dim]
    return torch.cat([positive, spectrum.new_zeros(between), negative], dim)


def _cut(negative: Tensor, positive: Tensor, dim: int, new: int) -> tuple[Tensor, Tensor]:
    """Drop wavenumbers |k| > new/2; for even `new`, both signs of new/2 share the bin -new/2."""
    surplus = max(negative.shape[dim] - new // 2, 0)
    negative = negative.narrow(dim, surplus, negative.shape[dim] - surplus)
    if new % 2 == 0 and positive.shape[dim] > new // 2:
        nyquist = negative.narrow(dim, 0, 1) + positive.narrow(dim, new // 2, 1)
        negative = torch.cat([nyquist, negative.narrow(dim, 1, new // 2 - 1)], dim)
    return negative, positive.narrow(dim, 0, min(positive.shape[dim], (new + 1) // 2))


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
