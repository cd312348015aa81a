"""Random flows on a torus, as vorticity: noise of a given spectrum, and lattices of vortices.

A generator gives one flow, whatever the grid: random numbers belong to modes, not to points, and
modes that a grid cannot hold are left out, not aliased. Fields are float64, of mean zero, on the
generator's device.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from . import fourier
from .vorticity import velocity_of


def spectral_noise(
    grid: Grid,
    generators: Sequence[torch.Generator],
    amplitude: Callable[[Tensor], Tensor],
    *,
    modes: int,
) -> Float[Tensor, "b *grid"]:
    """Return one real Gaussian field for each generator, with a spectrum of choice.

        g(x) = Σ_{k≠0} amplitude(|κ_k|) ξ_k e^(iκ_k x),    E|ξ_k|² = 1,  ξ_{-k} = conj ξ_k

    so the mean square of g is the sum of amplitude² over all modes, of both signs.

    Args:
        grid: every axis periodic.
        generators: one a sample; each advances by modes^d draws.
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
    field = torch.fft.irfftn(spectrum, s=shape, dim=axes, norm="forward")
    return fourier.resample(field, grid.shape)


def banded_flows(
    grid: Grid, generators: Sequence[torch.Generator], *, peak: float, speed: float, modes: int
) -> Float[Tensor, "b n m"]:
    """Return vorticity whose spectrum is log-normal around one wavenumber.

        |ω̂| ~ exp(-2 (ln κ - ln peak - 1/4)²) / κ

    the density of a log-normal law of variance 1/4, largest at the peak.

    Args:
        grid, generators, modes: as for `spectral_noise`, in the plane.
        peak: wavenumber, 1/length.
        speed: the largest speed of each flow (on `modes` points per axis), length/time.

    Source: Kochkov et al. 2021, arXiv:2102.01010, and its public code (initial velocities).
    """

    def amplitude(kappa: Tensor) -> Tensor:
        return torch.exp(-2 * (torch.log(kappa / peak) - 0.25) ** 2) / kappa

    finest = grid.resized((modes, modes))
    field = spectral_noise(finest, generators, amplitude, modes=modes)
    u, v = velocity_of(field, grid.lengths)
    size = speed / (u**2 + v**2).amax((-2, -1)).sqrt()
    return fourier.resample(size[:, None, None] * field, grid.shape)


def decaying_flows(
    grid: Grid,
    generators: Sequence[torch.Generator],
    *,
    peak: float,
    tau: float,
    energy: float,
    steep: bool,
    modes: int,
) -> Float[Tensor, "b n m"]:
    """Return vorticity from which decaying turbulence of isolated vortices grows.

        |ψ̂|² ~ s(κ),   or |ψ̂| ~ s(κ) if steep,     s(κ) = 1 / (κ (tau² + (κ/peak)⁴))

    Args:
        grid, generators, modes: as for `spectral_noise`, in the plane.
        peak: wavenumber beyond which the spectrum falls, 1/length.
        tau: number of the formula, > 0.
        energy: mean of (u² + v²)/2 of each flow (on `modes` points per axis), length²/time².
        steep: give |ψ̂| the formula that the paper gives its square, as public code does.

    Source: McWilliams 1984, doi:10.1017/S0022112084001750, equation 4.
    """

    def amplitude(kappa: Tensor) -> Tensor:
        stream = 1 / (kappa * (tau**2 + (kappa / peak) ** 4))
        return kappa**2 * (stream if steep else stream.sqrt())

    finest = grid.resized((modes, modes))
    field = spectral_noise(finest, generators, amplitude, modes=modes)
    u, v = velocity_of(field, grid.lengths)
    size = (2 * energy / (u**2 + v**2).mean((-2, -1))).sqrt()
    return fourier.resample(size[:, None, None] * field, grid.shape)


def vortex_lattices(
    grid: Grid, generators: Sequence[torch.Generator], *, largest: int, scale: float
) -> Float[Tensor, "b n m"]:
    """Return Taylor-Green vortices of random number and position.

        ω = scale |κ|² cos(κ_x x + a) cos(κ_y y + b),   κ_j = 2πk / L_j,   k from 1 to `largest`

    The stream function is ω / |κ|², so the flow does not bend itself: it keeps its shape.

    Args:
        grid: two periodic axes with more than 2 `largest` points.
        generators: one a sample; each advances by three draws.
        scale: amplitude of the stream function, length²/time.
    """
    draws = [torch.rand(3, generator=g, dtype=torch.float64, device=g.device) for g in generators]
    which, a, b = torch.stack(draws).T[..., None, None]
    count = 1 + torch.floor(largest * which)
    kx, ky = (2 * math.pi * count / length for length in grid.lengths)
    x, y = grid.coordinates(device=which.device)
    shape = torch.cos(kx * x + 2 * math.pi * a) * torch.cos(ky * y + 2 * math.pi * b)
    return scale * (kx**2 + ky**2) * shape
