"""Spectral convolution: a linear filter on the lowest Fourier modes of a field."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..ops import band_fft, band_matmul
from ..ops.band import kept
from ..ops.memory import is_channels_last
from . import neuraloperator
from .mode_bias import ModeBias
from .weight import Factorization, LayerWeight, Shape, spectral_weight

Transform = Literal["auto", "matmul", "fft"]


class SpectralConv(nn.Module):
    """Multiply each kept Fourier mode of a field by a learned matrix between channels.

        ŷ_o(k) = Σ_i W_io(k) x̂_i(k)   for the kept wavenumbers k, 0 for all others;   y + bias

    Transforms are scaled by 1/n, so the same weights are the same operator on every grid. Odd
    grids, grids with fewer points than modes, and another output grid are all exact. Runs in
    float32 or float64, whichever the input has, also under autocast.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        modes: kept modes per axis, both signs counted (`n_modes` of neuraloperator); its length,
            1 to 3, is the number of axes. The last axis stores modes // 2 + 1. Good values: half
            of the points per axis, or less.
        rank: None stores the dense weight. A float is the share of the dense weight's entries
            that a factorised weight may have (good values 0.01 to 0.5); a sequence gives the
            ranks: for Tucker (in, out, *modes), for CP one number, for TT those between
            neighbours of (in, out, *modes). Separable layers have one channel axis.
        bias: add one number per output channel.
        separable: filter each channel by itself, Ŵ_c(k); in_channels must equal out_channels.
        factorization: form of the weight if there is a rank: "tucker", "cp" or "tt".
        weight: this layer's part of a joint weight, `spectral_weight(..., layers=n).layer(i)`,
            whose owner registers it; then rank stays None.
        mode_bias: δ of a complex number δ b_o(k) that is added to each kept mode of each output
            channel, the same for all samples; None adds none.

    Attribute `transform` says how modes are computed: "matmul", products with real matrices;
    "fft", which is the slower specification on most sizes; "auto", whichever is expected to be
    faster. All three agree to rounding. The output has the memory format of the input.

    Initial weights are normal with E|W|² = 2 / (in_channels + out_channels), factors such that
    their product has this variance.

    Raises:
        ValueError: sizes that do not fit, with the way out.

    Source: Li et al. 2021, arXiv 2010.08895; factorised weights of Kossaifi et al. 2024, arXiv
    2310.00120. Differs from neuraloperator 2.0.0 on odd grids, on odd grids smaller than the
    modes and on resized outputs, where that release misplaces modes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: Sequence[int],
        rank: float | Sequence[int] | None = None,
        *,
        bias: bool = True,
        separable: bool = False,
        factorization: Factorization = "tucker",
        weight: LayerWeight | None = None,
        mode_bias: float | None = None,
    ):
        super().__init__()
        _check_sizes(in_channels, out_channels, modes, separable)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.modes, self.separable = tuple(modes), separable
        self.transform: Transform = "auto"
        if weight is None:
            self.weight = spectral_weight(
                in_channels, out_channels, modes, rank,
                factorization=factorization, separable=separable,
            )  # fmt: skip
        else:
            _check_view(weight, rank, in_channels, out_channels, modes, separable)
            # Not a module: the joint tensor is registered once, by whoever made it.
            self.weight = weight
        std = math.sqrt(2 / (in_channels + out_channels))
        self.bias = nn.Parameter(std * torch.randn(out_channels)) if bias else None
        stored = (*modes[:-1], modes[-1] // 2 + 1)
        self.mode_bias = None if mode_bias is None else ModeBias(out_channels, stored, mode_bias)

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], output_shape: Sequence[int] | None = None
    ) -> Float[Tensor, "b c_out *output_grid"]:
        """Filtered field, on the input's grid or on `output_shape` points of the same box.

        Raises:
            ValueError: axes or channels of x, or the length of output_shape, are not this layer's.
        """
        grid = tuple(x.shape[2:])
        shape = grid if output_shape is None else tuple(output_shape)
        self._check_input(x, shape)
        # Never below float32: a half-precision transform loses the small modes, and cuFFT's
        # knows powers of two only.
        dtype = torch.promote_types(torch.promote_types(x.dtype, self.weight.dtype), torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            channels_last = is_channels_last(x)
            by = band_matmul if self._by_products(grid, shape, channels_last) else band_fft
            parts = by.lowest_modes(x.to(dtype), self.modes)
            rows = stored_rows(grid, self.modes)
            parts = self.weight.kernel(rows, dtype)(parts)
            if self.mode_bias is not None:
                parts = self.mode_bias(parts, rows)
            return by.field_of_modes(
                parts, self.modes, grid, shape,
                constant=None if self.bias is None else self.bias.to(dtype),
                channels_last=channels_last,
            )  # fmt: skip

    def _by_products(self, grid: Sequence[int], shape: Sequence[int], channels_last: bool) -> bool:
        if self.transform != "auto":
            return self.transform == "matmul"
        # Compilers and exporters generate no code for complex numbers.
        return torch.compiler.is_compiling() or all(
            band_matmul.pays(points, self.modes, channels_last=channels_last)
            for points in (grid, shape)
        )

    def _check_input(self, x: Tensor, shape: tuple[int, ...]) -> None:
        dims = len(self.modes)
        if x.ndim != dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"{dims} grid axes): modes {self.modes} make this a layer of {dims} dimensions"
            )
        if len(shape) != dims:
            raise ValueError(
                f"output_shape {shape} has {len(shape)} entries, expected {dims}: give the "
                f"number of points per axis"
            )

    @classmethod
    def from_neuraloperator(
        cls, state_dict: Mapping[str, Tensor], **constructor: Any
    ) -> "SpectralConv":
        """Layer with the weights of a `neuralop` SpectralConv of release 2.0.0.

        Args:
            state_dict: `weight.tensor` (dense), `weight.core` and `weight.factors.factor_i`
                (Tucker), `weight.weights` and factors (CP), factors (TT); `bias`.
            constructor: arguments of this class, without rank, factorization and bias, which the
                weights tell.
        """
        form = neuraloperator.form_of(state_dict)
        layer = cls(**constructor, **form, bias="bias" in state_dict)
        neuraloperator.fill(layer, state_dict)
        return layer

    def to_neuraloperator(self) -> dict[str, Tensor]:
        """State dict for a `neuralop` SpectralConv of the same sizes.

        Raises:
            ValueError: the layer has a bias for each mode, which that one does not know.
        """
        if self.mode_bias is not None:
            raise ValueError(
                f"mode_bias is {self.mode_bias.scale}, expected None: neuralop's layer has no bias "
                f"for each mode"
            )
        return neuraloperator.state_dict_of(self)


def to_matmul(model: nn.Module) -> nn.Module:
    """The same model, all spectral convolutions of which use products with real matrices.

    Such a model has no complex tensor inside, whatever the grid: the form for compilers and
    exporters.
    """
    for module in model.modules():
        if isinstance(module, SpectralConv):
            module.transform = "matmul"
    return model


def stored_rows(grid: Sequence[int], modes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Where the mode axes of a weight hold the modes that a grid keeps, in the order of `kept`."""
    rows = []
    for points, count in zip(grid[:-1], modes[:-1], strict=True):
        positive = count - count // 2
        rows.append(tuple(k if k >= 0 else positive - 1 - k for k in kept(points, count)))
    return (*rows, tuple(range(min(modes[-1], grid[-1]) // 2 + 1)))


def _check_sizes(
    in_channels: int, out_channels: int, modes: Sequence[int], separable: bool
) -> None:
    if min(in_channels, out_channels) < 1:
        raise ValueError(
            f"in_channels and out_channels are {in_channels} and {out_channels}, expected >= 1"
        )
    if not 1 <= len(modes) <= 3 or min(modes) < 1:
        raise ValueError(
            f"modes is {tuple(modes)}, expected 1 to 3 numbers >= 1, one for each axis of the grid"
        )
    if separable and in_channels != out_channels:
        raise ValueError(
            f"separable with in_channels {in_channels} and out_channels {out_channels}: it filters "
            f"each channel by itself, give equal numbers or separable=False"
        )


def _check_view(
    weight: LayerWeight,
    rank: float | Sequence[int] | None,
    in_channels: int,
    out_channels: int,
    modes: Sequence[int],
    separable: bool,
) -> None:
    shape, own = weight.weight.shape, Shape.of(in_channels, out_channels, modes, separable)
    if (shape.channels, shape.modes) != (own.channels, own.modes):
        raise ValueError(
            f"weight is for channels {shape.channels} and stored modes {shape.modes}, expected "
            f"{own.channels} and {own.modes}: build the joint weight with the sizes of its layers"
        )
    if rank is not None:
        raise ValueError(
            f"rank {rank} is given twice, expected None beside weight: the joint weight has ranks"
        )
