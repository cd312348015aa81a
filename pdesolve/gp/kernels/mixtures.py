"""Spectral mixtures: envelopes times cosines, summed over components of the spectrum.

    k(z) = Σ_q w_q g(z / ρ_q) cos(2π μ_q z)

Source: Wilson and Adams 2013, arXiv 1302.4245 (Gaussian); Fang, Cooley, Long, Li, Kirby, Zhe 2024,
arXiv 2311.04465 (Student-t, whose envelope is Matérn's).
"""

import math
from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

from . import derivatives
from .decaying import degree_of
from .lines import Lines, gaussian_lines
from .spectral import WaveKernel


class _Mixture(WaveKernel):
    """Length scales beside the frequencies and weights."""

    def __init__(self, frequencies, weights, lengthscales, nyquist, active_dims):
        super().__init__(frequencies, weights, nyquist, active_dims)
        lengthscales = torch.as_tensor(lengthscales, dtype=torch.float64)
        each = lengthscales.expand(self.raw_frequencies.shape)
        self.register_positive("lengthscales", each.clone())

    @property
    def lengthscales(self) -> Tensor:
        """ρ_q."""
        return self.positive("lengthscales")

    def _mixed(self, z: Tensor, envelope: list[Tensor]) -> list[Tensor]:
        waves = derivatives.cosine(z[..., None], self.frequencies, len(envelope) - 1)
        return [terms @ self.weights for terms in derivatives.product(envelope, waves)]


class GaussianMixture(_Mixture):
    """k(z) = Σ_q w_q exp(-z²/(2ρ_q²)) cos(2π μ_q z): normal densities in the spectrum.

    Each has its centres at ±μ_q and the standard deviation 1/(2πρ_q).

    Args:
        frequencies: μ_q in cycles per unit of x; learned. Their sign does not matter.
        weights: w_q > 0; default 1/Q each.
        lengthscales: ρ_q > 0, one for all or one each.
        nyquist: highest frequency of the grid, (N - 1)/(2L); μ_q are kept below 0.9 of it.
        active_dims: the column of x that a gpytorch model hands to the kernel.
    """

    def __init__(
        self,
        frequencies: Float[Tensor, " q"] | Sequence[float],
        weights: Float[Tensor, " q"] | Sequence[float] | None = None,
        lengthscales: Float[Tensor, " q"] | Sequence[float] | float = 1.0,
        *,
        nyquist: float | None = None,
        active_dims: tuple[int, ...] | None = None,
    ):
        super().__init__(frequencies, weights, lengthscales, nyquist, active_dims)

    @property
    def smoothness(self) -> float:
        """Every derivative exists."""
        return math.inf

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Leibniz of Hermite's recursion and quarter turns."""
        envelope = derivatives.gaussian(z[..., None], 0.5 / self.lengthscales**2, order)
        return self._mixed(z, envelope)

    def lines(self, length: float) -> Lines:
        """Each component's density on lines."""
        components = zip(self.frequencies.abs(), self.weights, self.lengthscales, strict=True)
        return reduce(
            Lines.__add__,
            [
                gaussian_lines(scale, length) * Lines(frequency[None], weight[None])
                for frequency, weight, scale in components
            ],
        )


class StudentTMixture(_Mixture):
    """k(z) = Σ_q w_q M_ν(z/ρ_q) cos(2π μ_q z), M_ν Matérn's kernel: heavy tails in the spectrum.

    Each component is a Student-t density of 2ν degrees of freedom about ±μ_q, scale 1/(2πρ_q).

    Args:
        frequencies: μ_q in cycles per unit of x; learned. Their sign does not matter.
        weights: w_q > 0; default 1/Q each.
        lengthscales: ρ_q > 0, one for all or one each.
        nu: 0.5, 1.5, 2.5, ...
        nyquist: highest frequency of the grid, (N - 1)/(2L); μ_q are kept below 0.9 of it.
        active_dims: the column of x that a gpytorch model hands to the kernel.
    """

    def __init__(
        self,
        frequencies: Float[Tensor, " q"] | Sequence[float],
        weights: Float[Tensor, " q"] | Sequence[float] | None = None,
        lengthscales: Float[Tensor, " q"] | Sequence[float] | float = 1.0,
        *,
        nu: float = 2.5,
        nyquist: float | None = None,
        active_dims: tuple[int, ...] | None = None,
    ):
        super().__init__(frequencies, weights, lengthscales, nyquist, active_dims)
        self.degree = degree_of(nu)

    @property
    def smoothness(self) -> float:
        """2 nu - 1."""
        return 2 * self.degree

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Leibniz of Matérn's polynomials and quarter turns."""
        rates = math.sqrt(2 * self.degree + 1) / self.lengthscales
        return self._mixed(z, derivatives.matern(z[..., None], rates, self.degree, order))
