"""Random periodic fields whose spectrum is a given function of the wavenumber."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from . import fourier


def spectral_noise(
    grid: Grid,
    generators: Sequence[torch.Generator],
    amplitude: Callable[[Tensor], Tensor],
    *,
    modes: int,
) -> Float[Tensor, "b *grid"]:
    """Return one real Gaussian field of mean zero for each generator, float64.

        g(x) = Σ_{k≠0} amplitude(|κ_k|) ξ_k e^(iκ_k x),    E|ξ_k|² = 1,  ξ_{-k} = conj ξ_k

    so the mean square of g is the sum of amplitude² over all modes, of both signs.

    Args:
        grid: every axis periodic. One generator gives one function on every grid with the same
            box: the modes that a grid cannot hold are left out, not aliased.
        generators: one a sample; each advances by modes^d draws, on its device.
        amplitude: of the angular wavenumber |κ| > 0 (a tensor, 1/length), in units of the field.
        modes: of each axis, both signs counted, whatever the grid. As many as the finest grid has
            points leave no scale out.

    Raises:
        ValueError: an axis is not periodic, or modes < 2.
    """
    if not all(grid.periodic):
        raise ValueError(f"grid has periodic {grid.periodic}, expected all axes periodic")
    if modes < 2:
        raise ValueError(f"modes is {modes}, expected at least 2 per axis")
    shape, axes = (modes,) * grid.dims, tuple(range(1, grid.dims + 1))
    white = torch.stack(
        [torch.randn(shape, generator=g, dtype=torch.float64, device=g.device) for g in generators]
    )
    # White noise of unit variance has modes of variance 1 / points.
    spectrum = torch.fft.rfftn(white, dim=axes, norm="forward") * math.sqrt(math.prod(shape))
    squared = fourier.squared_wavenumber(
        shape, grid.lengths, dtype=white.dtype, device=white.device
    )
    constant = squared == 0
    size = amplitude(torch.where(constant, 1, squared).sqrt())
    spectrum = spectrum * torch.where(constant, 0, size)
    return fourier.resample(
        torch.fft.irfftn(spectrum, s=shape, dim=axes, norm="forward"), grid.shape
    )
