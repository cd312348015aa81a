"""Spectral convolution: a linear filter on the lowest Fourier modes of a field."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..ops import tucker
from ..recorded import recorded
from .band import field_of_modes, kept, lowest_modes

LAYOUT_VERSION = 1


@recorded
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
            that a Tucker weight may have (good values 0.01 to 0.5); a sequence gives its ranks
            (in, out, *modes), or (channels, *modes) if separable.
        bias: add one number per output channel.
        separable: filter each channel by itself, Ŵ_c(k); in_channels must equal out_channels.

    Weights are stored as pairs (real, imaginary) on a last axis of size 2, because optimisers,
    safetensors and sharding do not all know complex numbers, and with modes first, which is the
    order of the batched matrix product:

        dense     weight (*modes, in, out, 2)
        Tucker    core (*mode_ranks, in_rank, out_rank, 2), mode_factor_j (modes_j, rank, 2),
                  in_factor (in, rank, 2), out_factor (out, rank, 2)
        separable: one channel axis in place of (in, out), `channel_factor` in place of two

    They start normal with E|W|² = 2 / (in_channels + out_channels), Tucker weights such that the
    product of their parts has this variance.

    Raises:
        ValueError: sizes that do not fit, with the way out.

    Source: Li et al. 2021, arXiv 2010.08895; Tucker weights of Kossaifi et al. 2024, arXiv
    2310.00120. Differs from neuraloperator 2.0.0 on odd grids, on odd grids smaller than the
    modes and on resized outputs, where that release misplaces modes.
    """

    layout_version: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: Sequence[int],
        rank: float | Sequence[int] | None = None,
        *,
        bias: bool = True,
        separable: bool = False,
    ):
        super().__init__()
        _check_sizes(in_channels, out_channels, modes, separable)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.modes, self.separable = tuple(modes), separable
        stored = (*self.modes[:-1], self.modes[-1] // 2 + 1)
        channels = (
            {"channel": in_channels} if separable else {"in": in_channels, "out": out_channels}
        )
        std = math.sqrt(2 / (in_channels + out_channels))
        self.rank = _ranks(rank, (*channels.values(), *stored))
        if self.rank is None:
            self._add("weight", (*stored, *channels.values()), std)
            names = ["weight"]
        else:
            names = self._add_tucker(stored, channels, tucker.component_std(std, self.rank))
        self._pairs = tuple(names)
        self.bias = nn.Parameter(std * torch.randn(out_channels)) if bias else None
        self.register_buffer("layout_version", torch.tensor(LAYOUT_VERSION))

    def _add(self, name: str, shape: Sequence[int], std: float) -> None:
        # E|z|² = std²: each part has half of the variance.
        self.register_parameter(name, nn.Parameter(torch.randn(*shape, 2) * (std / math.sqrt(2))))

    def _add_tucker(
        self, stored: tuple[int, ...], channels: dict[str, int], std: float
    ) -> list[str]:
        assert self.rank is not None
        channel_ranks, mode_ranks = self.rank[: len(channels)], self.rank[len(channels) :]
        self._add("core", (*mode_ranks, *channel_ranks), std)
        sizes = {f"mode_factor_{axis}": n for axis, n in enumerate(stored)}
        sizes |= {f"{name}_factor": n for name, n in channels.items()}
        for (name, n), r in zip(sizes.items(), (*mode_ranks, *channel_ranks), strict=True):
            self._add(name, (n, r), std)
        return ["core", *sizes]

    @property
    def complex_pairs(self) -> tuple[str, ...]:
        """Names of this layer's parameters whose last axis is (real, imaginary)."""
        return self._pairs

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
        dtype = torch.promote_types(torch.promote_types(x.dtype, self._dtype), torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            spectrum = lowest_modes(x.to(dtype), self.modes)
            filtered = self._filter(spectrum, grid, dtype)
            y = field_of_modes(filtered, self.modes, grid, shape)
            if self.bias is not None:
                y = y + self.bias.to(dtype).reshape(-1, *[1] * len(grid))
        return y

    def _filter(self, spectrum: Tensor, grid: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Apply the weights of the modes that this grid has: (b, c_in, *k) to (b, c_out, *k)."""
        rows = self._stored_rows(grid)
        if self.separable:
            kernel = self._separable_kernel(rows, dtype)
            return spectrum * kernel.movedim(-1, 0)
        # Modes first and contiguous: otherwise bmm falls back to one small product per mode.
        x = spectrum.flatten(2).permute(2, 0, 1).contiguous()
        if self.rank is None:
            y = x @ self._complex("weight", dtype)[rows].flatten(0, -3)
        else:
            kernel = self._expanded_core(rows, dtype).flatten(0, -3)
            y = (
                x
                @ self._complex("in_factor", dtype)
                @ kernel
                @ self._complex("out_factor", dtype).T
            )
        return y.permute(1, 2, 0).unflatten(2, spectrum.shape[2:])

    def _separable_kernel(self, rows: tuple[slice, ...], dtype: torch.dtype) -> Tensor:
        if self.rank is None:
            return self._complex("weight", dtype)[rows]
        return self._expanded_core(rows, dtype) @ self._complex("channel_factor", dtype).T

    def _expanded_core(self, rows: tuple[slice, ...], dtype: torch.dtype) -> Tensor:
        """Tucker core with its mode axes expanded; channels stay in rank space."""
        factors = [self._complex(f"mode_factor_{j}", dtype)[r] for j, r in enumerate(rows)]
        return tucker.expand(self._complex("core", dtype), factors)

    def _stored_rows(self, grid: tuple[int, ...]) -> tuple[slice, ...]:
        """Where the stored weights hold the modes that a grid keeps (row m // 2 is k = 0)."""
        rows = []
        for points, modes in zip(grid[:-1], self.modes[:-1], strict=True):
            wavenumbers = kept(points, modes)
            rows.append(slice(modes // 2 + wavenumbers.start, modes // 2 + wavenumbers.stop))
        return (*rows, slice(0, min(self.modes[-1], grid[-1]) // 2 + 1))

    @property
    def _dtype(self) -> torch.dtype:
        return getattr(self, self._pairs[0]).dtype

    def _complex(self, name: str, dtype: torch.dtype) -> Tensor:
        return torch.view_as_complex(getattr(self, name).to(dtype))

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

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, *lists):
        version = state_dict.get(f"{prefix}layout_version")
        if version is not None and int(version) != LAYOUT_VERSION:
            error_messages = lists[-1]
            error_messages.append(
                f"{prefix}layout_version is {int(version)}, expected {LAYOUT_VERSION}: these "
                f"weights are stored in another order; load them with the pdesolve that wrote them"
            )
            return
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *lists)

    @classmethod
    def from_neuraloperator(
        cls, state_dict: Mapping[str, Tensor], **constructor: Any
    ) -> "SpectralConv":
        """Layer with the weights of a `neuralop` SpectralConv, dense or Tucker, 2.0.0's names.

        Args:
            state_dict: `weight.tensor`, or `weight.core` and `weight.factors.factor_i`; `bias`.
            constructor: arguments of this class, without rank and bias, which the weights tell.
        """
        if "weight.core" in state_dict:
            constructor["rank"] = tuple(state_dict["weight.core"].shape)
        layer = cls(**constructor, bias="bias" in state_dict)
        names = _neuraloperator_names(layer)
        own = {"layout_version": layer.layout_version}
        for name, (foreign, order) in names.items():
            value = state_dict[foreign]
            own[name] = (
                value.flatten()
                if name == "bias"
                else torch.view_as_real(value.permute(order)).clone()
            )
        layer.to(own[next(iter(names))].dtype).load_state_dict(own)
        return layer

    def to_neuraloperator(self) -> dict[str, Tensor]:
        """State dict for a `neuralop` SpectralConv of the same sizes."""
        result = {}
        for name, (foreign, order) in _neuraloperator_names(self).items():
            value = getattr(self, name).detach()
            if name == "bias":
                result[foreign] = value.reshape(-1, *[1] * len(self.modes)).clone()
            else:
                inverse = sorted(range(len(order)), key=order.__getitem__)
                result[foreign] = torch.view_as_complex(value).permute(inverse).contiguous()
        return result


def _neuraloperator_names(layer: SpectralConv) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Our name: (their name, permutation of their axes, channels first, that gives ours)."""
    dims, channel_names = len(layer.modes), ["channel"] if layer.separable else ["in", "out"]
    channels = len(channel_names)
    modes_first = (*range(channels, channels + dims), *range(channels))
    if layer.rank is None:
        names = {"weight": ("weight.tensor", modes_first)}
    else:
        names = {"core": ("weight.core", modes_first)}
        ours = [f"{n}_factor" for n in channel_names] + [f"mode_factor_{j}" for j in range(dims)]
        for index, name in enumerate(ours):
            names[name] = (f"weight.factors.factor_{index}", (0, 1))
    return names | ({} if layer.bias is None else {"bias": ("bias", ())})


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


def _ranks(rank: float | Sequence[int] | None, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    if rank is None or isinstance(rank, float):
        return None if rank is None else tucker.ranks(shape, rank)
    if isinstance(rank, int):
        raise ValueError(
            f"rank is the whole number {rank}, expected None (dense), a float share such as 0.1, "
            f"or one rank for each of the sizes {shape}: write {rank}.0 if a share was meant"
        )
    if len(rank) != len(shape) or not all(1 <= r <= n for r, n in zip(rank, shape, strict=False)):
        raise ValueError(
            f"rank is {tuple(rank)}, expected one number for each of the sizes {shape} "
            f"(channels, then modes), between 1 and the size"
        )
    return tuple(rank)
