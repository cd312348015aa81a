"""A solution between its nodes: a core of coefficients and a basis for each axis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..ops.kronecker import apply

# basis(x, order): the order-th derivative of every function at x, shape (n, r).
Basis = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True, eq=False)
class Expansion:
    """u(x) = Σ C[k_1, ..., k_d] q_k1(x_1) ... q_kd(x_d).

    Args:
        bases: one for each axis.
        core: C (r_1, ..., r_d).
    """

    bases: Sequence[Basis]
    core: Float[Tensor, "*r"]

    def __call__(
        self, points: Sequence[Float[Tensor, " n"]], orders: Sequence[int] | None = None
    ) -> Float[Tensor, "*n"]:
        """Return u, or a derivative of it, on the tensor product of the points of each axis.

        Args:
            points: positions (n_j,) for each axis, float64.
            orders: of the derivative, one an axis.
        """
        orders = (0,) * len(self.bases) if orders is None else orders
        factors = [basis(x, n) for basis, x, n in zip(self.bases, points, orders, strict=True)]
        return apply(factors, self.core)

    def scattered(
        self, points: Float[Tensor, "n d"], orders: Sequence[int] | None = None
    ) -> Float[Tensor, " n"]:
        """Return u, or a derivative of it, at n points of d coordinates."""
        orders = (0,) * len(self.bases) if orders is None else orders
        value = self.core[None].expand(len(points), *self.core.shape)
        for j, basis in enumerate(self.bases):
            # The first of the remaining axes goes, so that the next one is first again.
            value = torch.einsum("nr...,nr->n...", value, basis(points[:, j], orders[j]))
        return value
