"""Products of complex numbers in real arithmetic.

Weights are pairs (..., 2), real and imaginary part on the last axis; fields are parts, a tuple of
two tensors. Compilers, exporters and half the tools around torch do not know complex tensors, and
on many sizes real products are as fast.
"""

import torch
from jaxtyping import Float
from torch import Tensor

Parts = tuple[Tensor, Tensor]


def rotated(pairs: Float[Tensor, "... 2"]) -> Float[Tensor, "... 2"]:
    """i z for each pair z.

    >>> rotated(torch.tensor([3.0, 4.0]))
    tensor([-4.,  3.])
    """
    real, imaginary = pairs.unbind(-1)
    return torch.stack([-imaginary, real], -1)


def times(parts: Parts, matrices: Float[Tensor, "*k i o 2"]) -> Parts:
    """Rows of complex numbers, parts (*k, b, i), by one complex matrix for each k: (*k, b, o)."""
    rows = torch.stack(parts, -2)
    # One real product of both parts with both parts reads the matrices, often the largest tensor
    # here, a single time and as they are stored.
    products = rows.flatten(-3, -2) @ matrices.flatten(-2)
    products = products.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    of_real, of_imaginary = products.unbind(-3)
    return (
        of_real[..., 0] - of_imaginary[..., 1],
        of_real[..., 1] + of_imaginary[..., 0],
    )


def times_shared(parts: Parts, matrix: Float[Tensor, "i o 2"]) -> Parts:
    """Rows of complex numbers, parts (..., i), by one complex matrix: parts (..., o)."""
    real, imaginary = matrix.unbind(-1)
    block = torch.cat([torch.cat([real, imaginary], 1), torch.cat([-imaginary, real], 1)])
    products = torch.cat(parts, -1) @ block
    return products.tensor_split(2, -1)


def scaled(parts: Parts, numbers: Float[Tensor, "*k i 2"]) -> Parts:
    """Rows of complex numbers, parts (*k, b, i), by one complex number for each k and i."""
    real, imaginary = parts
    of_real, of_imaginary = numbers.unsqueeze(-3).unbind(-1)
    return (
        real * of_real - imaginary * of_imaginary,
        real * of_imaginary + imaginary * of_real,
    )
