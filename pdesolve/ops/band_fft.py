"""The lowest Fourier modes of a real field by FFTs, in the form of `band_matmul`."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from . import band
from .kernels import Parts
from .memory import to_channels_last


def lowest_modes(x: Float[Tensor, "b c *grid"], modes: Sequence[int]) -> Parts:
    """Real and imaginary parts (*k, b, c) of the coefficients that `band.lowest_modes` returns."""
    # Contiguous first: an FFT along strided points is many times slower than the copy.
    spectrum = band.lowest_modes(x.contiguous(), modes).movedim((0, 1), (-2, -1))
    return spectrum.real, spectrum.imag


def field_of_modes(
    parts: Parts,
    modes: Sequence[int],
    grid: Sequence[int],
    shape: Sequence[int],
    *,
    constant: Float[Tensor, " c"] | None = None,
    channels_last: bool = False,
) -> Float[Tensor, "b c *shape"]:
    """Real field of these coefficients, as `band_matmul.field_of_modes`."""
    spectrum = torch.complex(*(p.movedim((-2, -1), (0, 1)).contiguous() for p in parts))
    y = band.field_of_modes(spectrum, modes, grid, shape)
    if constant is not None:
        y = y + constant.reshape(-1, *[1] * len(modes))
    return to_channels_last(y) if channels_last else y
