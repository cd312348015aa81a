"""Velocity fields without sources: the part of a field that has no divergence."""

import torch
from jaxtyping import Float
from torch import Tensor

from .fourier import wavenumbers


def solenoidal(
    velocity: Float[Tensor, "b d *frames_and_grid"], lengths: tuple[float, ...]
) -> Float[Tensor, "b d *frames_and_grid"]:
    """Part of a periodic velocity whose divergence is zero (Helmholtz, Leray projection).

        v̂ = û - κ (κ·û) / |κ|²    for κ ≠ 0;   the mean stays

    A second projection changes nothing, and a field without divergence stays as it is. At the
    Nyquist mode of an even axis κ counts as 0, as in `fourier.derivative`.

    Args:
        velocity: components on axis 1, the grid on the last d axes, any axes between.
        lengths: sides of the periodic box.

    Raises:
        ValueError: there are not as many components as axes of the grid.
    """
    dims = len(lengths)
    if velocity.shape[1] != dims or velocity.ndim < 2 + dims:
        raise ValueError(
            f"velocity has shape {tuple(velocity.shape)}, expected {dims} components on axis 1 "
            f"and a grid of {dims} axes: one component for each side of the box"
        )
    axes = tuple(range(-dims, 0))
    grid = velocity.shape[-dims:]
    # The real part of a Nyquist mode has no derivative on the grid.
    kappas = [
        kappa.where(2 * kappa.abs() * length < 2 * torch.pi * n - 1, 0)
        for kappa, n, length in zip(
            wavenumbers(grid, lengths, dtype=velocity.dtype, device=velocity.device),
            grid, lengths, strict=True,
        )
    ]  # fmt: skip
    kappa = torch.stack(torch.broadcast_tensors(*kappas))
    squared = kappa.square().sum(0)
    direction = kappa * torch.where(squared > 0, 1 / squared, 0)
    shape = (dims, *[1] * (velocity.ndim - 2 - dims), *squared.shape)
    kappa, direction = kappa.reshape(shape), direction.reshape(shape)
    spectrum = torch.fft.rfftn(velocity, dim=axes, norm="forward")
    spectrum = spectrum - direction * (kappa * spectrum).sum(1, keepdim=True)
    return torch.fft.irfftn(spectrum, s=grid, dim=axes, norm="forward")
