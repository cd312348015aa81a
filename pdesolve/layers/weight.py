"""Weights of spectral convolutions: a matrix between channels for each Fourier mode and layer."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..ops import ranks, tucker

LAYOUT_VERSION = 2
Factorization = Literal["tucker", "cp", "tt"]


class Kernel(NamedTuple):
    """The weights of some modes of one layer as a product, ŷ = ((x̂ left) core_k) right.

    Args:
        core: pairs (*k, r_in, r_out, 2), or (*k, r, 2), a diagonal matrix for each mode.
        left: pairs (in, r_in, 2), or None for the identity.
        right: pairs (r_out, out, 2), or None for the identity.
    """

    core: Tensor
    left: Tensor | None = None
    right: Tensor | None = None


@dataclass(frozen=True)
class LayerWeight:
    """One layer's view of a joint weight: what `SpectralConv` takes instead of owning weights."""

    weight: "SpectralWeight"
    layer: int

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the parameters."""
        return self.weight.dtype

    def kernel(self, rows: Sequence[Sequence[int]], dtype: torch.dtype) -> Kernel:
        """Weights of the modes at `rows` of each mode axis of this layer."""
        return self.weight.kernel(rows, dtype, self.layer)


class SpectralWeight(nn.Module, ABC):
    """The tensor W[layer, in, out, *modes], dense or as the product of its factors.

    Build one with `spectral_weight`. All parameters are pairs (real, imaginary) on a last axis.
    """

    layout_version: Tensor

    def __init__(self, shape: "Shape"):
        super().__init__()
        self.shape = shape
        self.register_buffer("layout_version", torch.tensor(LAYOUT_VERSION))

    @property
    def complex_pairs(self) -> tuple[str, ...]:
        """Names of the parameters whose last axis is (real, imaginary): all of them."""
        return tuple(name for name, _ in self.named_parameters(recurse=False))

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the parameters."""
        return next(self.parameters(recurse=False)).dtype

    def layer(self, index: int) -> LayerWeight:
        """View of one layer, for `SpectralConv(..., weight=)`; it holds no parameters.

        Raises:
            ValueError: there is no such layer.
        """
        if self.shape.layers is None or not 0 <= index < self.shape.layers:
            raise ValueError(
                f"layer {index} of a weight with layers={self.shape.layers}, expected one of "
                f"range({self.shape.layers or 0}): build the weight with as many layers as needed"
            )
        return LayerWeight(self, index)

    @abstractmethod
    def kernel(
        self, rows: Sequence[Sequence[int]], dtype: torch.dtype, layer: int | None = None
    ) -> Kernel:
        """Weights of the modes at `rows` of each mode axis, of one layer if there are several."""

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

    def _add(self, name: str, shape: Sequence[int], std: float) -> None:
        # E|z|² = std²: each part has half of the variance.
        self.register_parameter(name, nn.Parameter(torch.randn(*shape, 2) * (std / math.sqrt(2))))

    def _complex(self, name: str, dtype: torch.dtype) -> Tensor:
        return torch.view_as_complex(getattr(self, name).to(dtype))


@dataclass(frozen=True)
class Shape:
    """Sizes of a spectral weight by name.

    Args:
        layers: number of layers, or None for a weight of one layer without that axis.
        channels: {"in": ..., "out": ...}, or {"channel": ...} if separable.
        modes: stored modes per axis.
    """

    layers: int | None
    channels: dict[str, int]
    modes: tuple[int, ...]

    @classmethod
    def of(
        cls,
        in_channels: int,
        out_channels: int,
        modes: Sequence[int],
        separable: bool,
        layers: int | None = None,
    ) -> "Shape":
        """Sizes of the weight of these layers; of the last axis' modes only k >= 0 are stored."""
        channels = {"in": in_channels, "out": out_channels}
        stored = (*modes[:-1], modes[-1] // 2 + 1)
        return cls(layers, {"channel": in_channels} if separable else channels, stored)

    @property
    def sizes(self) -> dict[str, int]:
        """Name and size of each axis: layer, channels, modes."""
        joint = {} if self.layers is None else {"layer": self.layers}
        return joint | self.channels | {f"mode_{j}": n for j, n in enumerate(self.modes)}

    @property
    def std(self) -> float:
        """Root mean square of the initial weights: E|W|² = 2 / (in + out)."""
        return math.sqrt(
            2 / (next(iter(self.channels.values())) + list(self.channels.values())[-1])
        )


class DenseWeight(SpectralWeight):
    """Every entry by itself: dense ([layer,] *modes, in, out, 2)."""

    def __init__(self, shape: Shape):
        super().__init__(shape)
        joint = () if shape.layers is None else (shape.layers,)
        self._add("dense", (*joint, *shape.modes, *shape.channels.values()), shape.std)

    def kernel(self, rows, dtype, layer=None):
        dense = self.dense if layer is None else self.dense[layer]
        for axis, row in enumerate(rows):
            dense = dense.index_select(axis, torch.tensor(row, device=dense.device))
        return Kernel(dense.to(dtype))


class TuckerWeight(SpectralWeight):
    """Core ([layer,] *modes, in, out, 2) of ranks, and one factor (size, rank, 2) for each axis."""

    def __init__(self, shape: Shape, ranks: Sequence[int]):
        super().__init__(shape)
        self.ranks = dict(zip(shape.sizes, ranks, strict=True))
        std = tucker.component_std(shape.std, ranks)
        joint = [] if shape.layers is None else [self.ranks["layer"]]
        modes = [self.ranks[f"mode_{j}"] for j in range(len(shape.modes))]
        self._add("core", (*joint, *modes, *(self.ranks[n] for n in shape.channels)), std)
        for name, size in shape.sizes.items():
            self._add(f"{name}_factor", (size, self.ranks[name]), std)

    def kernel(self, rows, dtype, layer=None):
        core = self._complex("core", dtype)
        if layer is not None:
            core = torch.tensordot(self._complex("layer_factor", dtype)[layer], core, 1)
        factors = [
            self._complex(f"mode_{j}_factor", dtype)[list(row)] for j, row in enumerate(rows)
        ]
        core = tucker.expand(core, factors)
        if "channel" in self.shape.channels:
            return Kernel(torch.view_as_real(core @ self._complex("channel_factor", dtype).T))
        left = self.in_factor.to(dtype)
        return Kernel(torch.view_as_real(core), left, self.out_factor.to(dtype).transpose(0, 1))


class CPWeight(SpectralWeight):
    """Sum of rank one tensors: scale (rank, 2) and one factor (size, rank, 2) for each axis."""

    def __init__(self, shape: Shape, rank: int):
        super().__init__(shape)
        self.rank = rank
        self.scale = nn.Parameter(torch.tensor([1.0, 0.0]).repeat(rank, 1))
        std = (shape.std / math.sqrt(rank)) ** (1 / len(shape.sizes))
        for name, size in shape.sizes.items():
            self._add(f"{name}_factor", (size, rank), std)

    def kernel(self, rows, dtype, layer=None):
        core = self._complex("scale", dtype)
        if layer is not None:
            core = core * self._complex("layer_factor", dtype)[layer]
        for j, row in enumerate(rows):
            core = core[..., None, :] * self._complex(f"mode_{j}_factor", dtype)[list(row)]
        if "channel" in self.shape.channels:
            return Kernel(torch.view_as_real(core @ self._complex("channel_factor", dtype).T))
        left = self.in_factor.to(dtype)
        return Kernel(torch.view_as_real(core), left, self.out_factor.to(dtype).transpose(0, 1))


class TTWeight(SpectralWeight):
    """Tensor train: one core (rank before, size, rank after, 2) for each axis."""

    def __init__(self, shape: Shape, ranks: Sequence[int]):
        super().__init__(shape)
        self.ranks = tuple(ranks)
        std = (shape.std / math.sqrt(math.prod(ranks))) ** (1 / len(shape.sizes))
        around = [1, *ranks, 1]
        for axis, (name, size) in enumerate(shape.sizes.items()):
            self._add(f"{name}_core", (around[axis], size, around[axis + 1]), std)

    def kernel(self, rows, dtype, layer=None):
        modes = self._complex("mode_0_core", dtype)[:, list(rows[0])]
        for j, row in enumerate(rows[1:], 1):
            following = self._complex(f"mode_{j}_core", dtype)[:, list(row)]
            modes = torch.tensordot(modes, following, 1)
        modes = modes[..., 0].movedim(0, -1)
        if "channel" in self.shape.channels:
            first = self._first("channel_core", dtype, layer)
            return Kernel(torch.view_as_real(modes @ first.T))
        left = self._first("in_core", dtype, layer)
        out = self._complex("out_core", dtype).movedim(2, 0)
        core = (modes @ out.flatten(1)).unflatten(-1, out.shape[1:])
        return Kernel(torch.view_as_real(core), torch.view_as_real(left))

    def _first(self, name: str, dtype: torch.dtype, layer: int | None) -> Tensor:
        """The core of the first channel axis with the layer's row multiplied in: (size, rank)."""
        core = self._complex(name, dtype)
        if layer is None:
            return core[0]
        return torch.tensordot(self._complex("layer_core", dtype)[0, layer], core, 1)


def spectral_weight(
    in_channels: int,
    out_channels: int,
    modes: Sequence[int],
    rank: float | Sequence[int] | None = None,
    *,
    factorization: Factorization = "tucker",
    separable: bool = False,
    layers: int | None = None,
) -> SpectralWeight:
    """Weight tensor of one spectral convolution, or of several that share factors.

    Args:
        in_channels, out_channels, modes, rank, factorization, separable: see `SpectralConv`.
            Ranks of a joint weight start with that of the layer axis.
        layers: None for one convolution; a number for a joint tensor, whose layer axis keeps its
            full rank when `rank` is a share.

    Raises:
        ValueError: sizes or ranks that do not fit.
    """
    shape = Shape.of(in_channels, out_channels, modes, separable, layers)
    if rank is None:
        return DenseWeight(shape)
    sizes = tuple(shape.sizes.values())
    if factorization == "tucker":
        return TuckerWeight(shape, ranks.tucker_ranks(sizes, rank, joint=layers is not None))
    if factorization == "cp":
        return CPWeight(shape, ranks.cp_rank(sizes, rank))
    return TTWeight(shape, ranks.tt_ranks(sizes, rank, joint=layers is not None))
