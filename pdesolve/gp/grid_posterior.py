"""The posterior of a problem on a grid: the Gaussian over the core of its expansion.

It is that of `posterior.Posterior` for the products of one function of each axis; what is evaluated
on a tensor product of points goes axis by axis, so that no row of all products is ever formed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ..ops.kronecker import apply
from .expansion import Basis, Expansion
from .posterior import Posterior
from .product_basis import Points

# Numbers in a block of fields.
_BLOCK = 2**22


@dataclass(frozen=True, eq=False)
class GridPosterior:
    """A Gaussian over functions of several axes.

    Args:
        bases: functions of each axis, of a known number.
        shape: how many each axis has.
        weights: the Gaussian over the coefficients of their products.
    """

    bases: Sequence[Basis]
    shape: tuple[int, ...]
    weights: Posterior

    @cached_property
    def mean(self) -> Expansion:
        """The mean as a function."""
        return Expansion(self.bases, self.weights.mean.reshape(self.shape))

    def value(self, points: Points, orders: Sequence[int] | None = None) -> Float[Tensor, "*n"]:
        """Return the mean of u, or of a derivative, on a tensor product of points."""
        return self.mean(points, orders)

    def std(self, points: Points, orders: Sequence[int] | None = None) -> Float[Tensor, "*n"]:
        """Return the standard deviation of u, or of a derivative, on a tensor product of points."""
        variance = points[0].new_zeros([len(x) for x in points])
        for block in self._fields(self._root.T, points, orders):
            variance += block.square().sum(0)
        return variance.sqrt()

    def draws(self, count: int, generator: torch.Generator) -> list[Expansion]:
        """Return functions drawn from the posterior."""
        shape = (count, len(self._root))
        noise = torch.randn(shape, generator=generator, dtype=torch.float64).to(self._root)
        cores = self.weights.mean + noise @ self._root.T
        return [Expansion(self.bases, core.reshape(self.shape)) for core in cores]

    @cached_property
    def _root(self) -> Float[Tensor, "m m"]:
        """R⁻¹, a square root of the covariance."""
        identity = torch.eye(len(self.weights.mean)).to(self.weights.mean)
        return torch.linalg.solve_triangular(self.weights.triangle, identity, upper=True)

    def _fields(
        self, cores: Float[Tensor, "k m"], points: Points, orders: Sequence[int] | None
    ) -> Iterator[Float[Tensor, "b *n"]]:
        orders = (0,) * len(self.bases) if orders is None else orders
        factors = [b(x, o) for b, x, o in zip(self.bases, points, orders, strict=True)]
        size = max(1, _BLOCK // max(1, torch.Size([len(x) for x in points]).numel()))
        for block in cores.split(size):
            yield apply(factors, block.reshape(-1, *self.shape))
