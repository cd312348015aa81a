"""Maps between channels that are the same at every point of a grid of any dimension."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..ops.memory import is_channels_last


class Pointwise(nn.Conv1d):
    """Linear map between channels, y_o = Σ_i W_oi x_i + b_o at each point.

    The output has the memory format of the input: channels-last fields are one matrix product,
    contiguous ones a convolution with one point.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: add one number per output channel.

    The weight has shape (out, in, 1) and starts as that of `torch.nn.Conv1d`.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True):
        super().__init__(in_channels, out_channels, kernel_size=1, bias=bias)

    def forward(self, input: Float[Tensor, "b c_in *grid"]) -> Float[Tensor, "b c_out *grid"]:
        if is_channels_last(input):
            return F.linear(input.movedim(1, -1), self.weight[..., 0], self.bias).movedim(-1, 1)
        return super().forward(input.flatten(2)).unflatten(2, input.shape[2:])

    def plus(
        self, other: Float[Tensor, "b c_out *grid"], input: Float[Tensor, "b c_in *grid"]
    ) -> Float[Tensor, "b c_out *grid"]:
        """`other + self(input)`, without a pass over the grid for the sum if channels are last."""
        fused = is_channels_last(input) and is_channels_last(other) and self.bias is None
        # Under autocast the fused sum would be as narrow as the product.
        if not fused or torch.is_autocast_enabled(input.device.type):
            return other + self(input)
        total, rows = (t.movedim(1, -1).flatten(0, -2) for t in (other, input))
        total = torch.addmm(total, rows, self.weight[..., 0].T)
        return total.unflatten(0, (input.shape[0], *input.shape[2:])).movedim(-1, 1)


class PointwiseNetwork(nn.Module):
    """Two pointwise maps with an activation between.

    Args:
        in_channels: channels of the input.
        hidden: channels between.
        out_channels: channels of the output.
        activation: function of a tensor, applied to each number.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        activation: Callable[[Tensor], Tensor],
    ):
        super().__init__()
        self.first = Pointwise(in_channels, hidden)
        self.second = Pointwise(hidden, out_channels)
        self.activation = activation

    def forward(self, x: Float[Tensor, "b c_in *grid"]) -> Float[Tensor, "b c_out *grid"]:
        return self.second(self.activation(self.first(x)))
