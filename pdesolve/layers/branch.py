"""The branch of a DeepONet: a function known at fixed sensors becomes a few numbers."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .dense import Activation, ConvolutionalNetwork, DenseNetwork, DenseNorm, StackedNetworks


class Branch(nn.Module):
    """Coefficients of a sample, from its input fields at the sensors and its parameters.

        b = net([features(x), condition])

    Args:
        channels: fields; 0: the condition is all that is seen.
        sensors: grid of the fields' points, or their number as a tuple of one.
        condition_dim: parameters of a sample, which join behind the fields.
        outputs: numbers that come out.
        hidden: widths of the hidden layers.
        activation: between dense layers.
        filters: channels of convolutions in front, each followed by a pooling of 2; none: the
            fields enter the dense layers point by point.
        kernel_size: of the convolutions.
        filter_activation: after each convolution.
        norm, dropout: of the hidden layers, see `DenseNetwork`.
        last_activation: of the output.
        stacked: a small network of its own for each output.

    Raises:
        ValueError: nothing to see, or options that do not go together.
    """

    def __init__(
        self,
        channels: int,
        sensors: Sequence[int],
        condition_dim: int,
        outputs: int,
        hidden: Sequence[int],
        activation: Activation,
        *,
        filters: Sequence[int] = (),
        kernel_size: int = 5,
        filter_activation: Activation = F.relu,
        norm: DenseNorm | None = None,
        dropout: float | Sequence[float] = 0.0,
        last_activation: Activation | None = None,
        stacked: bool = False,
    ):
        super().__init__()
        self.channels, self.sensors = channels, tuple(sensors)
        self.condition_dim = condition_dim
        self.convolutions = None
        seen = channels * math.prod(sensors)
        if filters and channels:
            self.convolutions = ConvolutionalNetwork(
                channels, sensors, filters, kernel_size=kernel_size, activation=filter_activation
            )
            seen = self.convolutions.features
        if not seen + condition_dim:
            raise ValueError(
                "a branch sees neither fields nor parameters, expected one of them: give the "
                "dataset parameters, or let the branch see the fields"
            )
        widths = (seen + condition_dim, *hidden)
        if not stacked:
            self.network = DenseNetwork(
                (*widths, outputs),
                activation,
                norm=norm,
                dropout=dropout,
                last_activation=last_activation,
            )
        elif norm or dropout or last_activation:
            raise ValueError(
                f"stacked=True with norm {norm!r}, dropout {dropout} and last_activation "
                f"{last_activation}, expected none of them: leave them out, or stacked=False"
            )
        else:
            self.network = StackedNetworks(outputs, widths, activation)

    def forward(
        self, x: Float[Tensor, "b c *grid"] | None, condition: Float[Tensor, "b p"] | None
    ) -> Float[Tensor, "b k"]:
        """Return the coefficients of each sample, shape (b, outputs).

        Raises:
            ValueError: the points of x are not the sensors, or the condition has other numbers.
        """
        seen = []
        if self.channels:
            assert x is not None
            if tuple(x.shape[2:]) != self.sensors:
                raise ValueError(
                    f"x has points {tuple(x.shape[2:])}, expected the sensors {self.sensors}: "
                    f"interpolate the input to the sensors, and ask for other points of the "
                    f"output with at(x, points)"
                )
            seen.append(x.flatten(1) if self.convolutions is None else self.convolutions(x))
        given = 0 if condition is None else condition.shape[1]
        if given != self.condition_dim:
            shape = None if condition is None else tuple(condition.shape)
            raise ValueError(
                f"condition of shape {shape} given, expected {self.condition_dim or 'no'} "
                f"parameters of each sample: build the operator with condition_dim={given}, or "
                f"give it the parameters it was built for"
            )
        if condition is not None:
            seen.append(condition)
        return self.network(torch.cat(seen, 1))
