"""Plane incompressible flow on a torus, told by its vorticity: velocity and self-advection."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from . import fourier


class VorticityTransport:
    """The pseudo-spectral operator  ω -> -u·∇ω  on one grid; x is axis 0, y is axis 1.

        -Δψ = ω,    u = ∂ψ/∂y,   v = -∂ψ/∂x,    ω = ∂v/∂x - ∂u/∂y
        -u·∇ω = (∂²/∂y² - ∂²/∂x²)(u v) + ∂²/∂x∂y (u² - v²)

    The second line is the curl of the momentum flux: two real transforms give u and v, two more
    take the products back, where u·∇ω would need five. Spectra are half spectra with amplitudes
    û = (1/nm) Σ u e^(-iκx), last axis halved, and hold the modes |k_j| < n_j / 3 only (the square
    two-thirds rule on integer wavenumbers, which frees products from aliasing): columns beyond
    are not stored, rows beyond are zero.

    Args:
        shape: points (n, m).
        lengths: sides of the box, > 0.
        dtype: real dtype of the fields.
        device: likewise.

    Source: Orszag 1971, doi:10.1175/1520-0469(1971)028<1074:OTEOAI>2.0.CO;2 (two-thirds rule);
    Basdevant 1983, doi:10.1016/0021-9991(83)90064-5 (four transforms).
    """

    def __init__(
        self,
        shape: Sequence[int],
        lengths: Sequence[float],
        *,
        dtype: torch.dtype,
        device: torch.device | str | None = None,
    ):
        n, m = shape
        self.shape = (n, m)
        # Made in float64 whatever the dtype, and rounded once.
        kx, ky = fourier.wavenumbers(shape, lengths, dtype=torch.float64, device=device)
        self._columns = (m - 1) // 3 + 1
        ky = ky[:, : self._columns]
        rows = torch.arange(n, device=device)
        kept = (3 * torch.minimum(rows, n - rows) < n)[:, None].expand(-1, self._columns)
        squared = kx**2 + ky**2
        inverse = torch.where(squared > 0, kept / squared, 0)
        precision = dtype.to_complex()
        self.squared_wavenumber = squared.to(dtype)
        spacings = (length / points for points, length in zip(shape, lengths, strict=True))
        self.largest_wavenumber = 2 * math.pi / 3 / min(spacings)
        self._kept = kept.to(precision)
        self._to_u, self._to_v = ((1j * k * inverse).to(precision) for k in (ky, -kx))
        self._from_product = (kept * (kx**2 - ky**2)).to(precision)
        self._from_difference = (kept * -(kx * ky)).to(precision)

    def spectrum(self, field: Float[Tensor, "*b n m"]) -> Complex[Tensor, "*b n k"]:
        """Return the kept modes of a field."""
        return self._transform(field).mul_(self._kept)

    def field(self, spectrum: Complex[Tensor, "*b n k"]) -> Float[Tensor, "*b n m"]:
        """Return the values at the grid points."""
        across = torch.fft.ifft(spectrum, dim=-2, norm="forward")
        return torch.fft.irfft(across, n=self.shape[1], dim=-1, norm="forward")

    def velocity(
        self, vorticity: Complex[Tensor, "*b n k"]
    ) -> tuple[Float[Tensor, "*b n m"], Float[Tensor, "*b n m"]]:
        """Return u and v at the grid points; their means are zero."""
        return self.field(self._to_u * vorticity), self.field(self._to_v * vorticity)

    def advection(self, vorticity: Complex[Tensor, "*b n k"]) -> Complex[Tensor, "*b n k"]:
        """Return the spectrum of -u·∇ω; differentiable."""
        u, v = self.velocity(vorticity)
        product = self._transform(u * v).mul_(self._from_product)
        difference = self._transform((u * u).addcmul_(v, v, value=-1))
        return product.addcmul_(self._from_difference, difference)

    def tendency(
        self, force: Complex[Tensor, "*#b n k"]
    ) -> Callable[[Complex[Tensor, "*b n k"]], Complex[Tensor, "*b n k"]]:
        """Return the function  ω -> -u·∇ω + f  on spectra."""
        return lambda vorticity: self.advection(vorticity).add_(force)

    def speed(self, vorticity: Complex[Tensor, "*b n k"]) -> Float[Tensor, " *b"]:
        """Return max(|u| + |v|), which times the largest wavenumber is the fastest oscillation."""
        u, v = self.velocity(vorticity)
        return u.abs_().add_(v.abs_()).amax((-2, -1))

    def empty_spectrum(self) -> Complex[Tensor, "n k"]:
        """Return a spectrum of zeros, for what is made before a state is there."""
        return torch.zeros_like(self._kept)

    def _transform(self, field: Tensor) -> Tensor:
        # Columns are cut before the second axis is transformed: a third of its work less.
        along = torch.fft.rfft(field, dim=-1, norm="forward")[..., : self._columns]
        return torch.fft.fft(along, dim=-2, norm="forward")


def velocity_of(
    vorticity: Float[Tensor, "*b n m"], lengths: Sequence[float]
) -> tuple[Float[Tensor, "*b n m"], Float[Tensor, "*b n m"]]:
    """Return the velocity (u, v) of mean zero with that vorticity, every mode kept."""
    stream = -fourier.inverse_laplacian(vorticity, lengths)
    return fourier.derivative(stream, (0, 1), lengths), -fourier.derivative(stream, (1, 0), lengths)


def vorticity_of(
    u: Float[Tensor, "*b n m"], v: Float[Tensor, "*b n m"], lengths: Sequence[float]
) -> Float[Tensor, "*b n m"]:
    """Return ∂v/∂x - ∂u/∂y of a velocity."""
    return fourier.derivative(v, (1, 0), lengths) - fourier.derivative(u, (0, 1), lengths)
