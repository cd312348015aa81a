"""Weights of spectral convolutions: a matrix between channels for each Fourier mode and layer.

All parameters are pairs: their last axis of size 2 is (real, imaginary), because optimisers,
safetensors, sharding and compilers do not all know complex numbers. Modes come before channels,
which is the order of the batched matrix product, and run 0, 1, ..., then -1, -2, ... on all axes
but the last, which is the order in which products with real matrices give them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..ops import ranks
from ..ops.factors import product, times_factors, times_row
from ..ops.kernels import Core, Dense, Diagonal, Factored, Parts, block
from .kept_kernels import KeptKernels

LAYOUT_VERSION = 2
Factorization = Literal["tucker", "cp", "tt"]
Rows = tuple[tuple[int, ...], ...]
Kernel = Callable[[Parts], Parts]


@dataclass(frozen=True)
class Shape:
    """Sizes of a spectral weight by name.

    Args:
        layers: number of layers, or None for the weight of one layer without that axis.
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
        sizes = list(self.channels.values())
        return math.sqrt(2 / (sizes[0] + sizes[-1]))


class SpectralWeight(nn.Module, ABC):
    """The tensor W[layer, in, out, *modes]; `spectral_weight` builds the forms that there are."""

    layout_version: Tensor

    def __init__(self, shape: Shape):
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

    def layer(self, index: int) -> "LayerWeight":
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
    def kernel(self, rows: Rows, dtype: torch.dtype, layer: int | None = None) -> Kernel:
        """What multiplies the modes of a field.

        Args:
            rows: which stored modes of each axis the field has.
            dtype: of the field.
            layer: which layer of a joint weight.
        """

    def _add(self, name: str, shape: Sequence[int], std: float) -> None:
        # E|z|² = std²: each part has half of the variance.
        self.register_parameter(name, nn.Parameter(torch.randn(*shape, 2) * (std / math.sqrt(2))))

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


@dataclass(frozen=True)
class LayerWeight:
    """One layer's view of a joint weight: what `SpectralConv` takes instead of owning weights."""

    weight: SpectralWeight
    layer: int

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the parameters."""
        return self.weight.dtype

    def kernel(self, rows: Rows, dtype: torch.dtype) -> Kernel:
        """What multiplies the modes of a field in this layer, see `SpectralWeight.kernel`."""
        return self.weight.kernel(rows, dtype, self.layer)


class DenseWeight(SpectralWeight):
    """Every entry by itself: dense ([layer,] *modes, in, out, 2)."""

    dense: Tensor

    def __init__(self, shape: Shape):
        super().__init__(shape)
        joint = () if shape.layers is None else (shape.layers,)
        self._add("dense", (*joint, *shape.modes, *shape.channels.values()), shape.std)

    def kernel(self, rows: Rows, dtype: torch.dtype, layer: int | None = None) -> Kernel:
        dense = self.dense if layer is None else self.dense[layer]
        for axis, row in enumerate(rows):
            dense = _select(dense, axis, row)
        dense = dense.to(dtype)
        return Diagonal(dense.movedim(-1, -2)) if "channel" in self.shape.channels else Dense(dense)


class FactoredWeight(SpectralWeight):
    """A product of factors.

    In evaluation without gradients, what a layer applies is built once and kept until a parameter
    changes; a change through `parameter.data` leaves no trace and needs `train()` or `eval()`.
    """

    def __init__(self, shape: Shape):
        super().__init__(shape)
        self._kept = KeptKernels()

    def kernel(self, rows: Rows, dtype: torch.dtype, layer: int | None = None) -> Kernel:
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self._kernel(rows, dtype, layer)

        def for_reuse() -> Kernel:
            kernel = self._kernel(rows, dtype, layer)
            return kernel.cheapest() if isinstance(kernel, Factored) else kernel

        return self._kept.kernel(layer, (rows, dtype), tuple(self.parameters()), for_reuse)

    def train(self, mode: bool = True) -> "FactoredWeight":
        """Switch between training and evaluation, and forget what evaluation has kept."""
        self._kept.forget()
        return super().train(mode)

    @abstractmethod
    def _kernel(self, rows: Rows, dtype: torch.dtype, layer: int | None) -> Kernel:
        """What multiplies the modes of a field, built from the parameters as they are."""


class TuckerWeight(FactoredWeight):
    """Core ([layer,] *modes, in, out, 2) of ranks, and one factor (size, rank, 2) for each axis."""

    core: Tensor

    def __init__(self, shape: Shape, axis_ranks: Sequence[int]):
        super().__init__(shape)
        self.ranks = dict(zip(shape.sizes, axis_ranks, strict=True))
        # An entry is a sum of Π r products of a core entry and one number of each factor.
        std = (shape.std / math.sqrt(math.prod(axis_ranks))) ** (1 / (len(axis_ranks) + 1))
        joint = [] if shape.layers is None else [self.ranks["layer"]]
        modes = [self.ranks[f"mode_{j}"] for j in range(len(shape.modes))]
        self._add("core", (*joint, *modes, *(self.ranks[n] for n in shape.channels)), std)
        for name, size in shape.sizes.items():
            self._add(f"{name}_factor", (size, self.ranks[name]), std)

    def _kernel(self, rows: Rows, dtype: torch.dtype, layer: int | None) -> Kernel:
        factors = {n: getattr(self, f"{n}_factor").to(dtype) for n in self.shape.sizes}
        core = self.core.to(dtype)
        if layer is not None:
            # First of all: with the layer axis still there, every step would cost its rank more.
            core = times_row(core, factors["layer"][layer])
        modes = [_select(factors[f"mode_{j}"], 0, row) for j, row in enumerate(rows)]
        planes = times_factors(core.movedim(-1, 0), modes)
        return _between_channels(planes, factors, diagonal=False)


class CPWeight(FactoredWeight):
    """Sum of rank one tensors: scale (rank, 2) and one factor (size, rank, 2) for each axis."""

    scale: Tensor

    def __init__(self, shape: Shape, rank: int):
        super().__init__(shape)
        self.scale = nn.Parameter(torch.tensor([1.0, 0.0]).repeat(rank, 1))
        std = (shape.std / math.sqrt(rank)) ** (1 / len(shape.sizes))
        for name, size in shape.sizes.items():
            self._add(f"{name}_factor", (size, rank), std)

    def _kernel(self, rows: Rows, dtype: torch.dtype, layer: int | None) -> Kernel:
        factors = {n: getattr(self, f"{n}_factor").to(dtype) for n in self.shape.sizes}
        core = self.scale.to(dtype)
        if layer is not None:
            core = product(core, factors["layer"][layer])
        for j, row in enumerate(rows):
            core = product(core.unsqueeze(-3), _select(factors[f"mode_{j}"], 0, row))
        return _between_channels(core.movedim(-1, -2), factors, diagonal=True)


class TTWeight(FactoredWeight):
    """Tensor train: one core (rank before, size, rank after, 2) for each axis."""

    def __init__(self, shape: Shape, inner_ranks: Sequence[int]):
        super().__init__(shape)
        std = (shape.std / math.sqrt(math.prod(inner_ranks))) ** (1 / len(shape.sizes))
        around = [1, *inner_ranks, 1]
        for axis, (name, size) in enumerate(shape.sizes.items()):
            self._add(f"{name}_core", (around[axis], size, around[axis + 1]), std)

    def _kernel(self, rows: Rows, dtype: torch.dtype, layer: int | None) -> Kernel:
        cores = {n: getattr(self, f"{n}_core").to(dtype) for n in self.shape.sizes}
        first, *following = self.shape.channels
        row = (
            torch.tensor([[1.0, 0.0]]).to(cores[first])
            if layer is None
            else cores["layer"][0, layer]
        )
        left = times_row(cores[first], row)
        modes = self._modes([_select(cores[f"mode_{j}"], 1, row) for j, row in enumerate(rows)])
        if not following:
            return Diagonal(_through(modes, left.transpose(0, 1)))
        out = cores["out"].movedim(2, 0)
        planes = _through(modes, out.flatten(1, 2)).unflatten(-1, out.shape[1:3])
        return Factored(block(left), Core(planes), None)

    @staticmethod
    def _modes(cores: list[Tensor]) -> Tensor:
        """Product of the cores of the mode axes: pairs (*k, rank before them, 2)."""
        joined = cores[0].permute(1, 0, 3, 2)  # (*k, rank before, plane, rank after)
        for core in cores[1:]:
            next_planes = joined.flatten(-2) @ block(core.flatten(1, 2))
            joined = next_planes.unflatten(-1, (2, *core.shape[1:3])).movedim(-2, -4)
        return joined.squeeze(-1)


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

    Source: Kossaifi et al. 2024, arXiv 2310.00120, whose layers share one tensor; initial values
    of tensor trains count the inner ranks once, which tensorly-torch 0.5 forgets.
    """
    shape = Shape.of(in_channels, out_channels, modes, separable, layers)
    if rank is None:
        return DenseWeight(shape)
    sizes, joint = tuple(shape.sizes.values()), layers is not None
    if factorization == "tucker":
        return TuckerWeight(shape, ranks.tucker_ranks(sizes, rank, joint=joint))
    if factorization == "cp":
        return CPWeight(shape, ranks.cp_rank(sizes, rank))
    if factorization == "tt":
        return TTWeight(shape, ranks.tt_ranks(sizes, rank, joint=joint))
    raise ValueError(
        f'factorization is {factorization!r}, expected "tucker", "cp" or "tt": leave rank out for '
        f"dense weights"
    )


def _select(tensor: Tensor, axis: int, rows: Sequence[int]) -> Tensor:
    """Rows of an axis, as they are stored for the usual grid that has all modes."""
    if len(rows) == tensor.shape[axis]:
        return tensor
    return tensor.index_select(axis, torch.tensor(rows, device=tensor.device))


def _through(modes: Tensor, pairs: Tensor) -> Tensor:
    """Rows of pairs (*k, r, 2) times a matrix (r, c, 2), as planes (*k, 2, c)."""
    return (modes.transpose(-1, -2).flatten(-2) @ block(pairs)).unflatten(-1, (2, -1))


def _between_channels(planes: Tensor, factors: dict[str, Tensor], *, diagonal: bool) -> Kernel:
    """Kernel of planes (*k, 2, *ranks of the channels) and the factors of the channels."""
    if "channel" in factors:
        to_channels = block(factors["channel"].transpose(0, 1))
        return Diagonal((planes.flatten(-2) @ to_channels).unflatten(-1, (2, -1)))
    core = Diagonal(planes) if diagonal else Core(planes)
    return Factored(block(factors["in"]), core, block(factors["out"].transpose(0, 1)))
