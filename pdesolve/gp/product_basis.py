"""Functions of a box: all products of one function of each axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

from .expansion import Basis

Points = Sequence[Float[Tensor, "_"]]


@dataclass(frozen=True, eq=False)
class Combination:
    """Linear combinations φ(x) T of the functions of an axis.

    Args:
        functions: φ (n, m).
        transform: T (m, r).
    """

    functions: Basis
    transform: Float[Tensor, "m r"]

    @property
    def top(self) -> float:
        """Highest angular frequency."""
        return self.functions.top

    def __call__(self, x: Float[Tensor, " n"], order: int = 0) -> Float[Tensor, "n r"]:
        """Return the order-th derivative of every function at x."""
        return self.functions(x, order) @ self.transform


class SideBySide:
    """The functions of several bases of one axis, one after the other."""

    def __init__(self, parts: Sequence[Basis]):
        self._parts = parts

    @property
    def top(self) -> float:
        """Highest angular frequency."""
        return max(part.top for part in self._parts)

    def __call__(self, x: Float[Tensor, " n"], order: int = 0) -> Float[Tensor, "n r"]:
        """Return the order-th derivative of every function at x."""
        return torch.cat([part(x, order) for part in self._parts], 1)


@dataclass(frozen=True, eq=False)
class ProductBasis:
    """q_k(x) q_l(y) ..., the last axis fastest.

    Args:
        bases: of each axis.
    """

    bases: Sequence[Basis]

    def __call__(self, points: Points, orders: Sequence[int] | None = None) -> Tensor:
        """Return a derivative of every product on the tensor product of the points, (n, m)."""
        orders = (0,) * len(self.bases) if orders is None else orders
        factors = [b(x, o) for b, x, o in zip(self.bases, points, orders, strict=True)]
        return reduce(torch.kron, factors)

    def scattered(
        self, points: Float[Tensor, "n d"], orders: Sequence[int] | None = None
    ) -> Float[Tensor, "n m"]:
        """Return a derivative of every product at n points of d coordinates."""
        orders = (0,) * len(self.bases) if orders is None else orders
        rows = points.new_ones(len(points), 1)
        for j, (basis, order) in enumerate(zip(self.bases, orders, strict=True)):
            rows = (rows[:, :, None] * basis(points[:, j], order)[:, None]).flatten(1)
        return rows
