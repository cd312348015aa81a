"""Contractions of complex factors in real arithmetic, each a matrix product without copies.

Factors are pairs (..., 2), real and imaginary part on the last axis.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def times_factors(
    planes: Float[Tensor, "..."], factors: Sequence[Float[Tensor, "..."]]
) -> Float[Tensor, "..."]:
    """Multiply the first axes of a complex core by one factor each.

        W[i, j, ..., rest] = Σ_ab... core[a, b, ..., rest] U_1[i, a] U_2[j, b] ...

    The planes of real and imaginary parts travel right before the axis that comes next, so that
    each step is one real matrix product. Axes are taken in order, which is the cheapest if the
    last rank is the smallest, as it is where only k >= 0 is stored.

    Args:
        planes: core (2, *ranks, *rest).
        factors: pairs (n_j, r_j, 2) for the first axes of ranks.

    Returns:
        (*n, 2, *rest).
    """
    for axis, factor in enumerate(factors):
        real, imaginary = factor.unbind(-1)
        # Rows (n, plane), columns (plane, r).
        parts = [torch.cat([real, -imaginary], 1), torch.cat([imaginary, real], 1)]
        matrix = torch.stack(parts, 1).flatten(0, 1)
        before, rest = planes.shape[:axis], planes.shape[axis + 2 :]
        planes = matrix @ planes.reshape(*before, matrix.shape[1], -1)
        planes = planes.reshape(*before, -1, 2, *rest)
    return planes


def times_row(tensor: Float[Tensor, "r *rest 2"], row: Float[Tensor, "r 2"]) -> Tensor:
    """Contract the first axis of a tensor with a row: (r, *rest, 2) to (*rest, 2)."""
    # Both parts of the row meet both parts of the tensor, which is read once.
    by_real, by_imaginary = (row.T @ tensor.flatten(1)).unflatten(1, tensor.shape[1:])
    real, imaginary = by_imaginary.unbind(-1)
    return by_real + torch.stack([-imaginary, real], -1)


def product(left: Float[Tensor, "... 2"], right: Float[Tensor, "... 2"]) -> Tensor:
    """Complex product number by number, of shapes that broadcast.

    >>> product(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0]))
    tensor([-2.,  1.])
    """
    (a, b), (c, d) = left.unbind(-1), right.unbind(-1)
    return torch.stack([a * c - b * d, a * d + b * c], -1)
