"""Kernels with one length scale: squared exponential, Matern and rational quadratic."""

import math

from jaxtyping import Float
from torch import Tensor

from . import derivatives
from .lines import Lines, gaussian_lines
from .stationary import StationaryKernel


class SquaredExponential(StationaryKernel):
    """k(z) = exp(-z²/(2 lengthscale²)), infinitely smooth.

    Args:
        lengthscale: > 0, in units of x.
        active_dims: the column of x that a gpytorch model hands to the kernel.
    """

    def __init__(self, lengthscale: float = 1.0, *, active_dims: tuple[int, ...] | None = None):
        super().__init__(active_dims=active_dims)
        self.register_positive("lengthscale", lengthscale)

    @property
    def lengthscale(self) -> Tensor:
        """Distance at which the kernel is exp(-1/2)."""
        return self.positive("lengthscale")

    @property
    def smoothness(self) -> float:
        """Every derivative exists."""
        return math.inf

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Hermite's recursion."""
        return derivatives.gaussian(z, 0.5 / self.lengthscale**2, order)

    def lines(self, length: float) -> Lines:
        """The Gaussian spectral density on lines so close that the interval does not see them."""
        return gaussian_lines(self.lengthscale, length)


class Matern(StationaryKernel):
    """Matérn kernel of half-integer smoothness, k(z) = P(s) exp(-s), s = √(2 nu) |z|/lengthscale.

    nu 1/2 is exp(-s), 3/2 (1 + s) exp(-s), 5/2 (1 + s + s²/3) exp(-s). An equation of order n
    observed on both sides needs nu >= n + 1/2: Poisson 5/2, Korteweg-de Vries 7/2, a beam 9/2.

    Args:
        nu: 0.5, 1.5, 2.5, ...
        lengthscale: > 0, in units of x.
        active_dims: the column of x that a gpytorch model hands to the kernel.

    Raises:
        ValueError: nu is no half-integer.
    """

    def __init__(
        self,
        nu: float = 2.5,
        lengthscale: float = 1.0,
        *,
        active_dims: tuple[int, ...] | None = None,
    ):
        super().__init__(active_dims=active_dims)
        self.degree = degree_of(nu)
        self.register_positive("lengthscale", lengthscale)

    @property
    def lengthscale(self) -> Tensor:
        """ρ."""
        return self.positive("lengthscale")

    @property
    def smoothness(self) -> float:
        """2 nu - 1."""
        return 2 * self.degree

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """A polynomial times the exponential for each order."""
        rate = math.sqrt(2 * self.degree + 1) / self.lengthscale
        return derivatives.matern(z, rate, self.degree, order)


class RationalQuadratic(StationaryKernel):
    """k(z) = (1 + z²/(2 alpha lengthscale²))^-alpha, a mixture of squared exponentials.

    Args:
        lengthscale: > 0, in units of x.
        alpha: > 0; large values give the squared exponential.
        active_dims: the column of x that a gpytorch model hands to the kernel.
    """

    def __init__(
        self,
        lengthscale: float = 1.0,
        alpha: float = 1.0,
        *,
        active_dims: tuple[int, ...] | None = None,
    ):
        super().__init__(active_dims=active_dims)
        self.register_positive("lengthscale", lengthscale)
        self.register_positive("alpha", alpha)

    @property
    def lengthscale(self) -> Tensor:
        """Length scale of the mixture's middle."""
        return self.positive("lengthscale")

    @property
    def alpha(self) -> Tensor:
        """How alike the mixture's length scales are."""
        return self.positive("alpha")

    @property
    def smoothness(self) -> float:
        """Every derivative exists."""
        return math.inf

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """A three-term recursion."""
        rate = 0.5 / (self.alpha * self.lengthscale**2)
        return derivatives.rational_quadratic(z, rate, self.alpha, order)


def degree_of(nu: float) -> int:
    """Return p of nu = p + 1/2, the degree of Matérn's polynomial.

    Raises:
        ValueError: nu is no half-integer.
    """
    degree = round(nu - 0.5)
    if degree < 0 or degree + 0.5 != nu:
        raise ValueError(f"nu is {nu}, expected a half-integer: choose 0.5, 1.5, 2.5, ...")
    return degree
