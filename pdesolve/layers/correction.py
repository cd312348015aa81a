"""A spectral layer that corrects trajectories, or another spectral layer, over the full band."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .spectral import SpectralConv


class SpectralCorrection(nn.Module):
    """Add to a field what one full-band spectral layer makes of another: zero to begin with.

        y' = y + F^-1(W(k) F x + b(k))

    With a bias for every mode it can hold any correction at all (`store`): it is a container of
    which only the loss decides what comes in.

    Args:
        in_channels, out_channels: of x and of y.
        shape: points of x per axis, time first where there is one.
        output_shape: points of y; by default those of x.
        time_modes: keep the first so many non-negative frequencies of the first axis only.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        shape: Sequence[int],
        output_shape: Sequence[int] | None = None,
        *,
        time_modes: int | None = None,
    ):
        super().__init__()
        self.shape, self.output_shape = tuple(shape), tuple(output_shape or shape)
        if self.shape[1:] != self.output_shape[1:]:
            raise ValueError(
                f"output_shape is {self.output_shape} for shape {self.shape}, expected the same "
                "points on all axes but the first"
            )
        # Time is the axis of real transforms here, so that low frequencies are its first entries.
        shared = min(self.shape[0], self.output_shape[0]) // 2 + 1
        outputs = self.output_shape[0] // 2 + 1
        shared, outputs = (min(n, time_modes or n) for n in (shared, outputs))
        space = self.shape[1:]
        self.weight = nn.Parameter(torch.zeros(in_channels, out_channels, shared, *space, 2))
        self.bias = nn.Parameter(torch.zeros(out_channels, outputs, *space, 2))

    def forward(self, x: Float[Tensor, "b c_in *grid"]) -> Float[Tensor, "b c_out *output_grid"]:
        """Return F^-1(W F x + b), which is to be added."""
        axes = (*range(3, x.ndim), 2)
        modes = torch.fft.rfftn(x, dim=axes, norm="forward")
        weight, bias = torch.view_as_complex(self.weight), torch.view_as_complex(self.bias)
        low = torch.einsum("bi...,io...->bo...", modes[:, :, : weight.shape[2]], weight)
        spectrum = torch.cat([low + bias[:, : low.shape[2]], self._rest(bias, low)], 2)
        sizes = [self.output_shape[axis - 2] for axis in axes]
        return torch.fft.irfftn(spectrum, s=sizes, dim=axes, norm="forward")

    @staticmethod
    def _rest(bias: Tensor, low: Tensor) -> Tensor:
        return bias[:, low.shape[2] :].expand(len(low), *bias[:, low.shape[2] :].shape)

    @torch.no_grad()
    def store(self, correction: Float[Tensor, "c_out n *grid"]) -> "SpectralCorrection":
        """Hold a correction of the last n steps in the bias; the weights become zero.

        Raises:
            ValueError: the correction does not fit, or time_modes leaves frequencies out.
        """
        steps = self.output_shape[0]
        if self.bias.shape[1] != steps // 2 + 1:
            raise ValueError(
                f"time_modes leaves {self.bias.shape[1]} of {steps // 2 + 1} frequencies, expected "
                "all to hold a correction: build the layer without time_modes"
            )
        missing = steps - correction.shape[1]
        if missing < 0 or tuple(correction.shape[2:]) != self.output_shape[1:]:
            raise ValueError(
                f"correction has shape {tuple(correction.shape)}, expected (c, n, *grid) with "
                f"n <= {steps} steps on {self.output_shape[1:]} points"
            )
        padded = torch.cat([correction.new_zeros(len(correction), missing, *correction.shape[2:]),
                            correction], 1)  # fmt: skip
        modes = torch.fft.rfftn(padded, dim=(*range(2, padded.ndim), 1), norm="forward")
        self.weight.zero_()
        self.bias.copy_(torch.view_as_real(modes))
        return self


def window(
    anchor: Float[Tensor, "b c *grid"], states: Float[Tensor, "b c n *grid"]
) -> Float[Tensor, "b c t *grid"]:
    """Return what a correction behind an operator sees: zeros, the known state and the others.

    As many zeros as states come first, so that the end does not run into the beginning.
    """
    known = torch.cat([anchor[:, :, None], states], 2)
    return torch.cat([torch.zeros_like(known), known], 2)


def last_spectral(model: nn.Module) -> nn.Module:
    """Return the spectral layer that acts last: a model's `last_spectral`, else by registration.

    Raises:
        ValueError: the model has none.
    """
    for module in model.modules():
        if isinstance(named := getattr(module, "last_spectral", None), nn.Module):
            return named
    layers = [one for one in model.modules() if isinstance(one, SpectralConv)]
    if not layers:
        raise ValueError(
            f"model is a {type(model).__name__} without a spectral layer, expected one to widen: "
            'use parameters="layer", which puts one behind any operator'
        )
    return layers[-1]


@contextmanager
def corrected(layer: nn.Module, correction: nn.Module) -> Iterator[None]:
    """Add correction(x) to what a layer makes of x while the context lasts."""

    def added(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        del module
        return output + correction(inputs[0]).to(output)

    handle = layer.register_forward_hook(added)
    try:
        yield
    finally:
        handle.remove()
