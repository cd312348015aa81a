"""Fourier transforms between fields at irregular points and their lowest modes."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn


def stored_modes(modes: Sequence[int]) -> tuple[int, int]:
    """How many wavenumbers of two axes are held; the last axis holds half of them and zero.

    >>> stored_modes((24, 23))
    (24, 12)
    """
    first, last = modes
    return first, last // 2 + 1


def waves(
    points: Float[Tensor, "b n 2"], modes: Sequence[int], *, shift: int = 0
) -> Complex[Tensor, "b n k l"]:
    """exp(2πi k · ξ) at points ξ of the unit torus, k_1 in the order 0, 1, ... -2, -1, k_2 >= 0.

    Args:
        points: ξ.
        modes: both signs counted.
        shift: added to k_1.
    """
    first, last = stored_modes(modes)
    options = {"dtype": points.dtype, "device": points.device}
    k = torch.arange(first, **options)
    k = k - first * (k >= (first + 1) // 2) + shift
    l = torch.arange(last, **options)
    angle = 2 * math.pi * points[..., None]
    phase = (angle[..., 0, :] * k)[..., None] + (angle[..., 1, :] * l)[..., None, :]
    return torch.complex(phase.cos(), phase.sin())


def mean_coefficients(
    u: Float[Tensor, "b c n"], points: Float[Tensor, "b n 2"], modes: Sequence[int]
) -> Complex[Tensor, "b c k l"]:
    """Fourier coefficients of a field at points, 1/n Σ_s u_s exp(-2πi k · ξ_s).

    On a uniform grid of points they are those of its trigonometric interpolation.
    """
    basis = waves(points, modes).conj().flatten(2)
    return (u.to(basis.dtype) @ basis).unflatten(2, stored_modes(modes)) / u.shape[-1]


def series(
    coefficients: Complex[Tensor, "b c k l"],
    points: Float[Tensor, "b n 2"],
    modes: Sequence[int],
    *,
    mispaired: bool = False,
) -> Float[Tensor, "b c n"]:
    """Real field Σ_k F_k exp(2πi k · ξ) at points, where F_{-k} is the conjugate of F_k.

    Args:
        coefficients: F_k for k_2 >= 0.
        points: ξ.
        modes: see `waves`.
        mispaired: pair (k_1, k_2) with (-1 - k_1, -k_2) instead of (-k_1, -k_2), as the published
            code of Geo-FNO and what grew from it does. Modes with k_2 > 0 then come out wrong.
    """
    basis = waves(points, modes)
    # Columns with k_2 > 0 stand for their conjugates too; k_2 = 0 holds both signs of k_1.
    partner = waves(points, modes, shift=1) if mispaired else basis
    basis = torch.cat([basis[..., :1], basis[..., 1:] + partner[..., 1:]], -1)
    return (coefficients.flatten(2) @ basis.flatten(2).mT).real


class PointSpectrum(nn.Module):
    """Linear maps of Fourier modes from points to a grid, or from a grid to points.

        grid(s) = Σ_k W_k û_k exp(2πi k · s),    u(ξ) = Σ_k W_k v̂_k exp(2πi k · ξ)

    Args:
        channels: of the field before and after.
        modes: kept modes of both axes, both signs counted.
        shape: points of the grid.
        published: as the published code has it: plain sums over the points, a division by the
            number of points of the grid on the way to it and none on the way back, and the
            `mispaired` series.

    Source: Li et al. 2022, arXiv 2207.05209 (Geo-FNO), as used in Wu et al. 2023, arXiv 2301.12664.
    """

    complex_pairs = ("weight",)

    def __init__(
        self, channels: int, modes: Sequence[int], shape: Sequence[int], *, published: bool = False
    ):
        super().__init__()
        self.modes, self.shape, self.published = tuple(modes), tuple(shape), published
        if modes[0] > shape[0] or modes[1] > shape[1]:
            raise ValueError(
                f"modes is {self.modes}, expected no more than the points {self.shape} of the grid"
            )
        stored = stored_modes(modes)
        self.weight = nn.Parameter(torch.rand(*stored, channels, channels, 2) / channels**2)

    def to_grid(
        self, u: Float[Tensor, "b c n"], points: Float[Tensor, "b n 2"]
    ) -> Float[Tensor, "b c *grid"]:
        """Field on the grid from values u at points of the unit torus."""
        with torch.autocast(u.device.type, enabled=False):
            u, points = self._precise(u), self._precise(points)
            spectrum = self._mixed(mean_coefficients(u, points, self.modes))
            if self.published:
                spectrum = spectrum * (u.shape[-1] / math.prod(self.shape))
            full = spectrum.new_zeros(*spectrum.shape[:2], self.shape[0], self.shape[1] // 2 + 1)
            positive = (self.modes[0] + 1) // 2
            columns = spectrum.shape[3]
            full[:, :, :positive, :columns] = spectrum[:, :, :positive]
            full[:, :, self.shape[0] - self.modes[0] // 2 :, :columns] = spectrum[:, :, positive:]
            return torch.fft.irfft2(full, self.shape, norm="forward")

    def to_points(
        self, v: Float[Tensor, "b c *grid"], points: Float[Tensor, "b n 2"]
    ) -> Float[Tensor, "b c n"]:
        """Values at points of the unit torus from a field on the grid."""
        with torch.autocast(v.device.type, enabled=False):
            v, points = self._precise(v), self._precise(points)
            full = torch.fft.rfft2(v, norm="backward" if self.published else "forward")
            rows, columns = stored_modes(self.modes)
            positive = (rows + 1) // 2
            kept = torch.cat([full[:, :, :positive], full[:, :, full.shape[2] - rows // 2 :]], 2)
            spectrum = self._mixed(kept[..., :columns])
            return series(spectrum, points, self.modes, mispaired=self.published)

    def _mixed(self, spectrum: Tensor) -> Tensor:
        weight = torch.view_as_complex(self.weight.to(spectrum.real.dtype))
        return torch.einsum("bixy,xyio->boxy", spectrum, weight)

    def _precise(self, x: Tensor) -> Tensor:
        # Half-precision phases lose the higher modes.
        return x.to(torch.promote_types(x.dtype, torch.float32))
