"""Random coefficients of media."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid


def trigonometric_medium(grid: Grid, generator: torch.Generator) -> Float[Tensor, "n m"]:
    """Return a product of waves of six scales, every factor between 1/2 and 3/2, float64.

        a = Π_{i=1..6} (1 + cos(a_i π (X + Y)) / 2) (1 + sin(a_i π (Y - 3X)) / 2)

    a_i uniform in 2^(i-1) [1, 1.5],  X = x/L_x, Y = y/L_y.

    Source: Liu, Xu and Zhang 2022, arXiv:2210.10890.
    """
    x, y = (c / length for c, length in zip(grid.coordinates(), grid.lengths, strict=True))
    drawn = torch.rand(6, generator=generator, dtype=torch.float64, device=generator.device)
    a = torch.ones_like(x)
    for i, share in enumerate(drawn.tolist()):
        frequency = 2**i * (1 + share / 2) * math.pi
        a = a * (1 + torch.cos(frequency * (x + y)) / 2)
        a = a * (1 + torch.sin(frequency * (y - 3 * x)) / 2)
    return a
