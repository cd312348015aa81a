"""Energy by wavenumber on any grid: Fourier modes on periodic axes, cosines on the others."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from .inference import Model, Samples, predictions


@dataclass(frozen=True)
class Spectra:
    """Energy in shells of equal wavenumber, averaged over samples, float64 on the CPU.

    Args:
        wavenumbers: |κ| of each shell, in 1/length.
        truth: energy of the target, in its unit squared, summed over channels.
        prediction: energy of the prediction.
        error: energy of their difference; above that of the truth, a scale is worse than left out.
    """

    wavenumbers: Float[Tensor, " shells"]
    truth: Float[Tensor, " shells"]
    prediction: Float[Tensor, " shells"]
    error: Float[Tensor, " shells"]


def mean_spectra(
    model: Model,
    dataset: Samples,
    *,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Spectra:
    """Return the mean spectra of truth, prediction and error over a dataset.

    Points outside of a mask count as zero. Arguments and errors: see `metrics.evaluate`.
    """
    kappa, sums = torch.empty(0), torch.zeros(())
    for batch, prediction in predictions(model, dataset, batch_size=batch_size, device=device):
        inside = torch.ones_like(batch.y[:, :1]) if batch.mask is None else batch.mask
        fields = (batch.y, prediction, prediction - batch.y)
        parts = [
            energy_spectrum(torch.where(inside.bool(), u, 0).double(), batch.uniform_grid)
            for u in fields
        ]
        kappa = parts[0][0].cpu()
        sums = sums + torch.stack([energy.sum(0) for _, energy in parts]).cpu()
    if not len(kappa):
        raise ValueError("dataset has 0 samples, expected at least one: choose another split")
    return Spectra(kappa, *(sums / len(dataset)))


def mode_energy(u: Float[Tensor, "b c *grid"], grid: Grid) -> Float[Tensor, "b *grid"]:
    """Return the energy ½ |û_k|² of each mode, summed over channels, in the field's unit squared.

    û is the discrete Fourier transform along periodic axes and the cosine transform (DCT-II, even
    reflection about the outer cell faces) along the others, both scaled so that Parseval is exact:

        Σ_k ½ |û_k|² = ½ mean over the grid of |u|²

    The full spectrum is kept on each periodic axis (no halved axis, no weights), in the order of
    `torch.fft.fft`; a cosine axis has modes 0 .. n - 1 of half a wave each.
    """
    first = u.ndim - grid.dims
    spectrum = u
    for axis in range(grid.dims):
        if not grid.periodic[axis]:
            spectrum = _cosine_transform(spectrum, first + axis)
    periodic = [first + axis for axis in range(grid.dims) if grid.periodic[axis]]
    if periodic:
        spectrum = torch.fft.fftn(spectrum, dim=periodic, norm="forward")
    return spectrum.abs().square().sum(1) / 2


def wavenumbers(grid: Grid, *, device: torch.device | None = None) -> Float[Tensor, "d *grid"]:
    """Return the angular wavenumber of each mode of `mode_energy` along each axis, in 1/length.

    κ = 2π|k|/L on a periodic axis, πk/(nh) on a cosine axis of n points with spacing h. The
    largest is at most π/h, the shortest wave that the axis resolves.
    """
    axes = []
    for n, spacing, periodic in zip(grid.shape, grid.spacing, grid.periodic, strict=True):
        k = torch.arange(n, dtype=torch.float64, device=device)
        # Modes above n/2 are the negative ones; only their size counts here.
        axes.append((2 * torch.minimum(k, n - k) if periodic else k) * math.pi / (n * spacing))
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def cutoff(grid: Grid) -> float:
    """Return the largest wavenumber that the grid resolves along every axis, min π/h_j."""
    return math.pi / max(grid.spacing)


def energy_spectrum(
    u: Float[Tensor, "b c *grid"], grid: Grid
) -> tuple[Float[Tensor, " shells"], Float[Tensor, "b shells"]]:
    """Return the energy in shells of equal |κ|, which sums over shells to ½ mean |u|².

    Shell s holds the modes with (s - ½) Δκ <= |κ| < (s + ½) Δκ, where Δκ belongs to the longest
    wave on the grid. On a fully periodic grid it is `ops.fourier.energy_spectrum`.

    Returns:
        The shells' wavenumbers s Δκ, in 1/length, and the energy in each.
    """
    kappa = wavenumbers(grid, device=u.device)
    width = min(
        (2 if periodic else 1) * math.pi / (n * spacing)
        for n, spacing, periodic in zip(grid.shape, grid.spacing, grid.periodic, strict=True)
    )
    shell = (kappa.square().sum(0).sqrt() / width + 0.5).floor().long().flatten()
    energy = mode_energy(u, grid).flatten(1)
    shells = int(shell.max()) + 1
    summed = energy.new_zeros(len(u), shells).index_add_(1, shell, energy)
    return width * torch.arange(shells, dtype=u.dtype, device=u.device), summed


def _cosine_transform(u: Tensor, axis: int) -> Tensor:
    # A field and its mirror image are periodic with 2n points; the phase moves the origin from
    # the first point to the mirror. Orthonormal, then divided by √n for a mean instead of a sum.
    u = u.movedim(axis, -1)
    n = u.shape[-1]
    k = torch.arange(n, dtype=u.dtype, device=u.device)
    phase = torch.polar(torch.ones_like(k), -math.pi * k / (2 * n))
    doubled = torch.fft.fft(torch.cat([u, u.flip(-1)], -1), norm="forward")[..., :n]
    amplitude = (doubled * phase).real
    amplitude[..., 1:] *= math.sqrt(2)
    return amplitude.movedim(-1, axis)
