"""Gaussian random fields with a power of (-Δ + τ²) as covariance, on any grid."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid


def gaussian_fields(
    grid: Grid,
    generators: Sequence[torch.Generator],
    *,
    alpha: float,
    tau: float,
    modes: int,
    scale: float = 1.0,
    constant_mode: bool = True,
) -> Float[Tensor, "b *grid"]:
    """Return one sample of N(0, scale² (-Δ + τ²)^-α) for each generator.

        g(x) = scale Σ_k (Σ_j κ_{k_j}² + τ²)^(-α/2) ξ_k Π_j φ_{k_j}(x_j),    ξ_k ~ N(0, 1)

    where φ are the eigenfunctions of -d²/dx² on each axis, orthonormal in L²(0, L): Fourier
    modes on a periodic axis, cosines (zero normal derivative at the walls) on another. The sum is
    evaluated at the points of the grid themselves, so every placement and offset is exact and the
    same generator gives the same function on every grid.

    Args:
        grid: where to evaluate. Its periodic flags choose the basis of each axis.
        generators: one a sample; each advances by modes^d draws. The fields are made in float64
            on the generator's device.
        alpha: smoothness, dimensionless; the field has a mean square if alpha > d / 2.
        tau: inverse correlation length, 1/length, >= 0. Zero needs constant_mode=False.
        modes: basis functions per axis, whatever the grid; as many as the finest grid has
            points leave no scale out. Good values 64 to 512; memory grows as b modes^d.
        scale: factor of the field. 2^(1/2) τ^(α-1) etc. of published codes go here.
        constant_mode: keep the mode k = 0; without it the integral of every field is zero.

    Returns:
        Fields, shape (b, *grid), in units of scale length^(α - d/2).

    Raises:
        ValueError: modes < 1, or tau = 0 with the constant mode.

    Source: Li et al. 2020, arXiv:2010.08895, appendix on data generation.
    """
    if modes < 1:
        raise ValueError(f"modes is {modes}, expected at least 1 basis function per axis")
    if tau == 0 and constant_mode:
        raise ValueError(
            "tau is 0 and the constant mode is kept, which gives it infinite variance: "
            "choose tau > 0 or constant_mode=False"
        )
    noise = torch.stack(
        [
            torch.randn((modes,) * grid.dims, generator=g, dtype=torch.float64, device=g.device)
            for g in generators
        ]
    )
    field = noise * (scale * _amplitude(grid, modes, alpha, tau, constant_mode).to(noise))
    for axis in range(grid.dims):
        # Each turn trades the first mode axis for the grid axis at the end: all end up in order.
        basis = eigenfunctions(grid, axis, modes).to(field)
        field = torch.einsum("bk...,nk->b...n", field, basis)
    return field


def eigenfunctions(grid: Grid, axis: int, modes: int) -> Float[Tensor, "n modes"]:
    """Return the first eigenfunctions of -d²/dx² along one axis, at its points, in float64.

    Orthonormal in L²(0, L), units length^(-1/2), in the order of `eigenvalues`:

        periodic    1/√L, then √(2/L) cos(2πkx/L) and √(2/L) sin(2πkx/L) for k = 1, 2, ...
        other       1/√L, then √(2/L) cos(πkx/L)
    """
    length = grid.lengths[axis]
    phase = grid.axis(axis)[:, None] * _wavenumbers(grid, axis, modes)
    values = torch.cos(phase)
    if grid.periodic[axis]:
        values[:, 2::2] = torch.sin(phase[:, 2::2])
    values[:, 1:] *= math.sqrt(2)
    return values / math.sqrt(length)


def _wavenumbers(grid: Grid, axis: int, modes: int) -> Float[Tensor, " modes"]:
    count = torch.arange(modes, dtype=torch.float64)
    if grid.periodic[axis]:
        # 0, 1, 1, 2, 2, ...: each wavenumber has a cosine and a sine.
        return 2 * math.pi / grid.lengths[axis] * ((count + 1) // 2)
    return math.pi / grid.lengths[axis] * count


def _amplitude(grid: Grid, modes: int, alpha: float, tau: float, constant_mode: bool) -> Tensor:
    axes = [_wavenumbers(grid, axis, modes) ** 2 for axis in range(grid.dims)]
    squares = sum(torch.meshgrid(*axes, indexing="ij")) + torch.tensor(tau**2, dtype=torch.float64)
    constant = (0,) * grid.dims
    if not constant_mode:
        squares[constant] = 1.0
    amplitude = squares ** (-alpha / 2)
    if not constant_mode:
        amplitude[constant] = 0.0
    return amplitude


def plane_deviation(*, alpha: float, tau: float) -> float:
    """Return the standard deviation of N(0, (-Δ + tau²)^-alpha) in the plane, alpha > 1.

        ∫ (κ² + tau²)^-alpha d²κ / (2π)² = tau^(2 - 2 alpha) / 4π(alpha - 1)

    A field on a box has it far from the walls.
    """
    return tau ** (1 - alpha) / math.sqrt(4 * math.pi * (alpha - 1))
