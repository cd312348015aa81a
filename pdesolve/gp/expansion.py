"""A solution between its nodes: a core of coefficients and a basis for each axis."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ..ops.kronecker import apply


@runtime_checkable
class Basis(Protocol):
    """Functions of one axis, such as `Features`."""

    @property
    def top(self) -> float:
        """Highest angular frequency."""
        ...

    def __call__(self, x: Tensor, order: int = 0) -> Tensor:
        """Return the order-th derivative of every function at x, shape (n, r)."""
        ...


# Numbers in a block of points, so that fields of derivatives need little memory at a time.
_BLOCK = 2**15


@dataclass(frozen=True, eq=False)
class Expansion:
    """u(x) = Σ C[k_1, ..., k_d] q_k1(x_1) ... q_kd(x_d).

    Args:
        bases: one for each axis.
        core: C (r_1, ..., r_d).
    """

    bases: Sequence[Basis]
    core: Float[Tensor, "*r"]

    @property
    def functions(self) -> str:
        """How many functions each axis has, for a reader."""
        return " x ".join(map(str, self.core.shape))

    def __call__(
        self, points: Sequence[Float[Tensor, "_"]], orders: Sequence[int] | None = None
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

    def blocks(
        self, points: Sequence[Float[Tensor, "_"]], orders: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[slice, list[Tensor], Float[Tensor, "k *n"]]]:
        """Yield derivatives on a tensor product of points, some rows of the first axis at a time.

        Args:
            points: positions (n_j,) for each axis.
            orders: of the k derivatives.

        Yields:
            the rows, the points of the block, and the derivatives on it.
        """
        # The first axis first, so that nothing larger than a block is ever held.
        others = range(1, len(self.bases))
        factors = {(j, o[j]): self.bases[j](points[j], o[j]) for j in others for o in orders}
        size = max(1, _BLOCK // math.prod(len(x) for x in points[1:]))
        for first in range(0, len(points[0]), size):
            rows = slice(first, first + size)
            block = [points[0][rows], *points[1:]]
            leading = {n: self._first_axis(block[0], n) for n in {o[0] for o in orders}}
            values = [
                apply([None, *(factors[j, o[j]] for j in others)], leading[o[0]]) for o in orders
            ]
            yield rows, block, torch.stack(values)

    def _first_axis(self, x: Tensor, order: int) -> Tensor:
        flat = self.core.reshape(len(self.core), -1)
        return (self.bases[0](x, order) @ flat).reshape(len(x), *self.core.shape[1:])
