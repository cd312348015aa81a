"""Fully connected networks on the last axis: one, or many small ones side by side."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Activation = Callable[[Tensor], Tensor]

# What a config may call an activation; "swish" is DeepXDE's name of SiLU.
ACTIVATIONS: dict[str, Activation] = {
    "elu": F.elu,
    "gelu": F.gelu,
    "leaky_relu": F.leaky_relu,
    "relu": F.relu,
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sin": torch.sin,
    "swish": F.silu,
    "tanh": torch.tanh,
}
DenseNorm = Literal["layer", "batch"]


class DenseNetwork(nn.Module):
    """Affine maps with σ(norm(·)) between; the last one is followed by `last_activation` or none.

        v_k = σ(norm(W_k v_(k-1) + c_k)) [+ P_k v_(k-2)],     k = 1 ... hidden layers

    Weights start Glorot-normal, biases at 0.

    Args:
        widths: sizes of input, hidden layers and output, two or more.
        activation: σ.
        norm: after each hidden affine map: "layer", "batch" (over all axes but the last) or None.
        dropout: share of each hidden layer that is dropped in training, or one share for each.
        skips: add the learned projection P_k of the layer two before, from the third layer on.
        last_activation: applied to the output; None: none.

    Raises:
        ValueError: fewer than two widths, or another number of dropout shares than hidden layers.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: Activation,
        *,
        norm: DenseNorm | None = None,
        dropout: float | Sequence[float] = 0.0,
        skips: bool = False,
        last_activation: Activation | None = None,
    ):
        super().__init__()
        hidden = len(widths) - 2
        if hidden < 0 or min(widths) < 1:
            raise ValueError(
                f"widths is {tuple(widths)}, expected sizes of input, hidden layers and output, "
                f"each >= 1"
            )
        shares = tuple(dropout) if isinstance(dropout, Sequence) else (dropout,) * hidden
        if len(shares) != hidden:
            raise ValueError(
                f"dropout has {len(shares)} shares for {hidden} hidden layers, expected one "
                f"number, or one for each layer"
            )
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))
        self.norms = nn.ModuleList(_norm(norm, width) for width in widths[1:-1])
        self.dropouts = nn.ModuleList(nn.Dropout(share) for share in shares)
        # P_k is None for the first two layers, which have none two before them.
        projected = zip(widths[1:-3], widths[3:-1], strict=True) if skips else ()
        self.projections = nn.ModuleList(nn.Linear(n, m) for n, m in projected)
        self.activation, self.last_activation = activation, last_activation
        for layer in (*self.layers, *self.projections):
            _start(layer)

    def forward(self, v: Float[Tensor, "... n"]) -> Float[Tensor, "... m"]:
        """Return the network's output at every position of the axes before the last."""
        *hidden, last = self.layers
        before: list[Tensor] = []
        for k, (layer, norm, dropout) in enumerate(
            zip(hidden, self.norms, self.dropouts, strict=True)
        ):
            v = dropout(self.activation(_normed(norm, layer(v))))
            if len(self.projections) and k >= 2:
                v = v + self.projections[k - 2](before[k - 2])
            before.append(v)
        v = last(v)
        return v if self.last_activation is None else self.last_activation(v)


class StackedNetworks(nn.Module):
    """As many small dense networks as outputs, each with one output; all see the same input.

        y_k = net_k(v),     k = 1 ... count

    Args:
        count: networks.
        widths: sizes of input and hidden layers of each.
        activation: between the layers.

    Source: the stacked branch of Lu et al. 2021, doi:10.1038/s42256-021-00302-5, figure 1.
    """

    def __init__(self, count: int, widths: Sequence[int], activation: Activation):
        super().__init__()
        sizes = list(pairwise((*widths, 1)))
        self.weights = nn.ParameterList(torch.empty(count, n, m) for n, m in sizes)
        self.biases = nn.ParameterList(torch.zeros(count, 1, m) for _, m in sizes)
        self.activation = activation
        for weight in self.weights:
            for one in weight:
                nn.init.xavier_normal_(one)

    def forward(self, v: Float[Tensor, "b n"]) -> Float[Tensor, "b count"]:
        """Return the output of every network, shape (b, count)."""
        v = v.expand(len(self.weights[0]), *v.shape)
        last = len(self.weights) - 1
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            v = torch.baddbmm(bias, v, weight)
            v = v if k == last else self.activation(v)
        return v[..., 0].T


class ConvolutionalNetwork(nn.Module):
    """Convolutions with average pooling, for fields on a grid; the output is flat.

        v_k = pool(σ(conv(v_(k-1)))),     sizes halved, rounded down, at each

    Args:
        in_channels: of the fields.
        shape: their grid, one to three axes.
        filters: channels after each convolution.
        kernel_size: points, odd; fields are zero outside the grid.
        activation: σ.

    Raises:
        ValueError: the grid is halved to nothing.
    """

    def __init__(
        self,
        in_channels: int,
        shape: Sequence[int],
        filters: Sequence[int],
        *,
        kernel_size: int,
        activation: Activation,
    ):
        super().__init__()
        last = [n >> len(filters) for n in shape]
        if min(last) < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"filters {tuple(filters)} halve the grid {tuple(shape)} to {tuple(last)} points, "
                f"and kernel_size is {kernel_size}; expected a point or more on each axis and an "
                f"odd kernel: use fewer filters"
            )
        convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(shape) - 1]
        self.layers = nn.ModuleList(
            convolution(n, m, kernel_size, padding="same")
            for n, m in pairwise((in_channels, *filters))
        )
        self.pool = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[len(shape) - 1](2)
        self.activation = activation
        self.features = filters[-1] * math.prod(last)
        for layer in self.layers:
            _start(layer)

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b n"]:
        """Return the features of each sample, shape (b, features)."""
        for layer in self.layers:
            x = self.pool(self.activation(layer(x)))
        return x.flatten(1)


def activation_of(function_or_name: Activation | str) -> Activation:
    """Return an activation given by itself or by its name.

    Raises:
        ValueError: an unknown name.
    """
    if callable(function_or_name):
        return function_or_name
    if function_or_name.lower() not in ACTIVATIONS:
        raise ValueError(
            f"activation is {function_or_name!r}, expected a function or one of "
            f"{sorted(ACTIVATIONS)}"
        )
    return ACTIVATIONS[function_or_name.lower()]


def activations_of(
    one_or_two: Activation | str | Sequence[Activation | str],
) -> tuple[Activation, Activation]:
    """Return the activations of branch and trunk, given once for both or once for each."""
    if callable(one_or_two) or isinstance(one_or_two, str):
        one_or_two = (one_or_two, one_or_two)
    branch, trunk = (activation_of(one) for one in one_or_two)
    return branch, trunk


def norms_of(
    one_or_two: DenseNorm | Sequence[DenseNorm | None] | None,
) -> tuple[DenseNorm | None, DenseNorm | None]:
    """Return the norms of branch and trunk, given once for both or once for each."""
    if one_or_two is None or isinstance(one_or_two, str):
        one_or_two = (one_or_two, one_or_two)
    branch, trunk = one_or_two
    return branch, trunk


def _norm(kind: DenseNorm | None, width: int) -> nn.Module:
    if kind is None:
        return nn.Identity()
    if kind == "layer":
        return nn.LayerNorm(width)
    if kind == "batch":
        return nn.BatchNorm1d(width)
    raise ValueError(f'norm is {kind!r}, expected "layer", "batch" or None')


def _normed(norm: nn.Module, v: Tensor) -> Tensor:
    if not isinstance(norm, nn.BatchNorm1d):
        return norm(v)
    # BatchNorm1d wants the features on axis 1 of two.
    return norm(v.flatten(0, -2)).reshape(v.shape)


def _start(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_normal_(parameter)
        else:
            nn.init.zeros_(parameter)
