"""Matrices that depend on i - j only: kernels between the points of uniform grids."""

import torch
from jaxtyping import Shaped
from torch import Tensor


def toeplitz(column: Shaped[Tensor, " m"], row: Shaped[Tensor, " n"]) -> Shaped[Tensor, "m n"]:
    """Return T[i, j] = column[i - j] for i >= j and row[j - i] for j > i.

    Args:
        column: first column, whose first entry is that of the matrix.
        row: first row; its first entry is not read.

    Source: the definition, as in `scipy.linalg.toeplitz`; gradients flow through.

    >>> toeplitz(torch.tensor([1, 2, 3]), torch.tensor([1, 5]))
    tensor([[1, 5],
            [2, 1],
            [3, 2]])
    """
    diagonals = torch.cat([row[1:].flip(0), column])
    i = torch.arange(len(column), device=column.device)[:, None]
    j = torch.arange(len(row), device=column.device)
    return diagonals[i - j + len(row) - 1]


def even_toeplitz(column: Shaped[Tensor, " n"], *, parity: int) -> Shaped[Tensor, "n n"]:
    """Return T[i, j] = column[|i - j|] sign(i - j)^parity: symmetric or, odd parity, skew.

    >>> even_toeplitz(torch.tensor([0, 2, 3]), parity=1)
    tensor([[ 0, -2, -3],
            [ 2,  0, -2],
            [ 3,  2,  0]])
    """
    return toeplitz(column, -column if parity % 2 else column)
