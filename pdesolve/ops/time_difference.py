"""Time derivatives of stored frames by finite differences of any even order."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def stencil(offsets: Sequence[int]) -> list[float]:
    """Return the weights of the first derivative at 0 from values at whole offsets, spacing 1.

    Exact for polynomials up to the number of offsets minus one.

    >>> stencil([-1, 0, 1])
    [-0.5, 0.0, 0.5]
    """
    matrix = torch.tensor(
        [[float(o) ** k for o in offsets] for k in range(len(offsets))], dtype=torch.float64
    )
    first = torch.zeros(len(offsets), dtype=torch.float64)
    first[1] = 1.0
    weights = torch.linalg.solve(matrix, first)
    # The exact weights are fractions of small numbers; what is left of them is rounding.
    common = math.lcm(*range(1, 2 * len(offsets)))
    return [round(float(w) * common) / common for w in weights]


def time_derivative(
    frames: Float[Tensor, "b t *grid"], spacing: float, *, order: int
) -> Float[Tensor, "b t *grid"]:
    """Return d/dt of frames at equal distances: central differences, one-sided at both ends.

    Args:
        frames: at least order + 1 of them.
        spacing: time from a frame to the next, > 0.
        order: of accuracy, even: 2, 4, 6, ...

    Raises:
        ValueError: an odd order, or too few frames.
    """
    count = frames.shape[1]
    if order < 2 or order % 2:
        raise ValueError(f"order is {order}, expected an even number from 2 on, such as 4")
    if count <= order:
        raise ValueError(
            f"frames has {count} times, expected at least {order + 1} for differences of order "
            f"{order}: pass more known frames or a lower order"
        )
    rows = torch.zeros(count, count, dtype=torch.float64)
    for t in range(count):
        first = min(max(t - order // 2, 0), count - order - 1)
        weights = stencil([first + k - t for k in range(order + 1)])
        rows[t, first : first + order + 1] = torch.tensor(weights, dtype=torch.float64)
    matrix = (rows / spacing).to(frames)
    return torch.einsum("st,bt...->bs...", matrix, frames)
