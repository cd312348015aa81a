"""Normalisation of a sample over all its channels and points."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Norm = Literal["layer", "plain", "pixelwise"]
# torch's own constant, which the published models were trained with.
EPSILON = 1e-5


class FieldNorm(nn.Module):
    """Fields of mean 0 and variance 1 over channels and points, then scaled and shifted.

        y = scale · (x - mean x) / √(var x + ε) + shift

    Args:
        channels: of the field.
        kind: "layer": one scale and shift per channel; "plain": neither; "pixelwise": one per
            channel and point, which ties the layer to one grid; None: y = x.
        shape: the grid of a pixelwise norm.

    Raises:
        ValueError: an unknown kind, or a pixelwise one without a grid.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, channels: int, kind: Norm | None, shape: Sequence[int] | None = None):
        super().__init__()
        if kind not in (None, "layer", "plain", "pixelwise"):
            raise ValueError(f'norm is {kind!r}, expected "layer", "plain", "pixelwise" or None')
        if kind == "pixelwise" and shape is None:
            raise ValueError(
                'norm is "pixelwise" without a grid, expected the points per axis: pass '
                'domain=Grid(...), or use norm="layer", which takes every grid'
            )
        self.kind, self.shape = kind, None if shape is None else tuple(shape)
        # Channels last, as the field is when it is normalised.
        size = (*(self.shape or ()), channels) if kind == "pixelwise" else (channels,)
        learned = kind in ("layer", "pixelwise")
        self.weight = nn.Parameter(torch.ones(size)) if learned else None
        self.bias = nn.Parameter(torch.zeros(size)) if learned else None

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        """Return the normalised field.

        Raises:
            ValueError: a pixelwise norm meets another grid than its own.
        """
        if self.kind is None:
            return x
        if self.kind == "layer":
            return F.group_norm(x, 1, self.weight, self.bias, EPSILON)
        if self.kind == "pixelwise" and tuple(x.shape[2:]) != self.shape:
            raise ValueError(
                f"x has grid {tuple(x.shape[2:])}, expected {self.shape}: scale and shift belong "
                f'to its points; use norm="layer" for other grids'
            )
        # No copy for a field whose channels lie last in memory.
        y = x.movedim(1, -1)
        y = F.layer_norm(y, y.shape[1:], self.weight, self.bias, EPSILON)
        return y.movedim(-1, 1)
