"""Latent spectral models: a multi-scale network that solves in a few tokens per patch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid
from ..layers.exact_loading import load_exactly
from ..layers.latent_unet import CONVOLUTIONS, LatentUNet, ScaleNorm
from ..layers.official_lsm import operator_arguments, operator_weights
from ..layers.resampling import resampled
from ..recorded import recorded

GridPolicy = Literal["error", "resample"]
PaddingMode = Literal["zeros", "replicate", "circular"]


@recorded
class LSM(nn.Module):
    """Map between fields by a U-net whose skips pass through latent spectral blocks.

        v = lift(x, coordinates);   v = body(pad(v));   y = W₂ GELU(W₁ crop(v) + b₁) + b₂

    The body is a `LatentUNet`. Grids of any size are padded behind the last points until each axis
    is a whole number of patches on every scale. Convolutions and patches count points, so on a
    grid finer than that of the training it is another operator: with a domain, other grids are
    refused or resampled.

    With frames the operator works in space and time at once: x stands still along a last axis, and
    what comes out along it are the frames of y.

    Args:
        in_channels: channels of x, without the coordinates that are added here.
        out_channels: channels of y, of all frames.
        width: channels inside, on the finest scale; a multiple of heads.
        dims: number of axes of x; None: those of the domain, else 2.
        frames: times that are channels of y, frame by frame; None: time is no axis.
        domain: grid of the training data; gives positions and, by its shape, the grid that the
            operator is for. None: coordinates from 0 to 1 on every axis, and any grid is taken.
        grid_policy: what to do with a grid that is not the domain's: "error", or "resample" x to
            the domain and y back, linearly along each axis.
        patch: points per axis of a patch, one number or one each. None: 2^(scales - 1) patches
            per axis on the finest scale, the fewest points that cover the grid.
        padding: points per axis added behind the last ones; None: as few as needed.
        padding_mode: what they hold: zeros, the last point, or the first points (torus).
        tokens, basis, heads, drop_dead_sine, spread_tokens: see `NeuralSpectralBlock`.
        scales, norm, align_corners: see `LatentUNet`.
        coordinates: append the positions, divided by the sides of the box, to x.
        projection_width: channels inside the last pointwise network.

    Raises:
        ValueError: sizes or options that do not fit, with the way out.

    Source: Wu et al. 2023, arXiv 2301.12664; `from_official` loads what its code trained. There
    one side without padding empties the output, and patches do not fit most grids.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 32,
        *,
        dims: int | None = None,
        frames: int | None = None,
        domain: Grid | None = None,
        grid_policy: GridPolicy = "error",
        patch: int | Sequence[int] | None = None,
        padding: int | Sequence[int] | None = None,
        padding_mode: PaddingMode = "zeros",
        tokens: int = 4,
        basis: int = 12,
        heads: int = 8,
        drop_dead_sine: bool = False,
        spread_tokens: bool = False,
        scales: int = 5,
        norm: ScaleNorm = "batch",
        align_corners: bool = True,
        coordinates: bool = True,
        projection_width: int = 128,
    ):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.domain, self.grid_policy, self.coordinates = domain, grid_policy, coordinates
        self.frames, self.dims = frames, _dims(domain, dims, frames)
        self.patch = _per_axis("patch", patch, self.dims, least=1)
        self.padding = _per_axis("padding", padding, self.dims, least=0)
        self.padding_mode = padding_mode
        convolution = CONVOLUTIONS[self.dims]
        lifted = in_channels + (self.dims if coordinates else 0)
        self.lifting = convolution(lifted, width, 1)
        self.body = LatentUNet(
            width,
            dims=self.dims,
            scales=scales,
            norm=norm,
            align_corners=align_corners,
            tokens=tokens,
            basis=basis,
            heads=heads,
            drop_dead_sine=drop_dead_sine,
            spread_tokens=spread_tokens,
        )
        self.projection = nn.Sequential(
            convolution(width, projection_width, 1),
            nn.GELU(),
            convolution(projection_width, _channels_of_a_frame(out_channels, frames), 1),
        )

    @classmethod
    def from_official(
        cls, state_dict: Mapping[str, Tensor], *, variant: str, **constructor: Any
    ) -> "LSM":
        """Return the operator that an official model is, in the dtype of its weights.

        Official models have their channels last.

        Args:
            state_dict: of a model of thuml/Latent-Spectral-Models, commit d5a0b40.
            variant: its file: LSM_2D or LSM_3D.
            constructor: in_dim, out_dim, d_model, num_token, num_basis, patch_size and padding
                as that code takes them (the padding from the last axis to the first).

        Raises:
            ValueError: an unknown file, or weights that do not fit.
        """
        model = cls(**operator_arguments(variant, **constructor))
        model.to(state_dict["fc0.weight"].dtype)
        load_exactly(model, operator_weights(state_dict, model.dims))
        return model

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b c_out *grid"]:
        """Output fields at the points of x.

        Raises:
            ValueError: axes or channels of x are not this operator's, its grid is not the
                domain's, or a condition is given.
        """
        self._check_input(x, condition)
        grid = tuple(x.shape[2:])
        if self.domain is None or grid == self.domain.shape:
            return self._on_grid(x)
        if self.grid_policy == "error":
            raise ValueError(
                f"x has grid {grid}, expected {self.domain.shape}, the domain's: on another grid "
                f'this is another operator; build it with grid_policy="resample", or without domain'
            )
        here = self.domain.resized(grid)
        return resampled(self._on_grid(resampled(x, here, self.domain)), self.domain, here)

    def _on_grid(self, x: Tensor) -> Tensor:
        if self.frames is None:
            return self._on_axes(x)
        y = self._on_axes(x[..., None].expand(*x.shape, self.frames))
        return y.movedim(-1, 1).flatten(1, 2)

    def _on_axes(self, x: Tensor) -> Tensor:
        grid = x.shape[2:]
        v = torch.cat([x, self._coordinates(x)], 1) if self.coordinates else x
        patch, padding = self._fit(grid)
        v = self.body(self._pad(self.lifting(v), padding), patch)
        for axis, n in enumerate(grid, start=2):
            v = v.narrow(axis, 0, n)
        return self.projection(v).contiguous()

    def _fit(self, grid: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Points per axis of a patch, and those to be added."""
        blocks = 2 ** (self.body.scales - 1)
        patch = self.patch or tuple(math.ceil(n / blocks) for n in grid)
        needed = tuple(-n % (blocks * size) for n, size in zip(grid, patch, strict=True))
        padding = self.padding or needed
        if any((n - m) % (blocks * p) for n, m, p in zip(padding, needed, patch, strict=True)):
            raise ValueError(
                f"padding {padding} makes of grid {tuple(grid)} no whole number of patches "
                f"{patch} on {self.body.scales} scales: {needed} does, and so does padding=None"
            )
        return patch, padding

    def _pad(self, v: Tensor, padding: Sequence[int]) -> Tensor:
        if not any(padding):
            return v
        # torch counts axes from the last one.
        flat = [n for behind in reversed(padding) for n in (0, behind)]
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return F.pad(v, flat, mode=mode)

    def _coordinates(self, x: Tensor) -> Tensor:
        options: dict[str, Any] = {"dtype": x.dtype, "device": x.device}
        if self.domain is None:
            axes = [torch.linspace(0, 1, n, **options) for n in x.shape[2:]]
        else:
            grid = self.domain
            axes = [grid.axis(j, **options) / grid.lengths[j] for j in range(grid.dims)]
            axes += [torch.linspace(0, 1, n, **options) for n in x.shape[2 + grid.dims :]]
        positions = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        return positions.expand(x.shape[0], *positions.shape)

    def _check_input(self, x: Tensor, condition: Tensor | None) -> None:
        axes = self.dims if self.frames is None else self.dims - 1
        if x.ndim != axes + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"{axes} grid axes): build LSM with the channels of the data and dims=..."
            )
        if condition is not None:
            raise ValueError(
                f"condition of shape {tuple(condition.shape)} given, expected none: LSM takes no "
                f"parameters; add them to x as constant channels"
            )


def _dims(domain: Grid | None, dims: int | None, frames: int | None) -> int:
    """Return the number of axes that the operator works on, time included."""
    if domain is not None and dims not in (None, domain.dims):
        raise ValueError(f"dims is {dims}, expected {domain.dims}, the axes of the domain, or None")
    found = (2 if domain is None else domain.dims) if dims is None else dims
    known = tuple(CONVOLUTIONS) if frames is None else tuple(n - 1 for n in CONVOLUTIONS if n > 1)
    if found not in known:
        raise ValueError(f"dims is {found}, expected one of {known}")
    return found if frames is None else found + 1


def _channels_of_a_frame(channels: int, frames: int | None) -> int:
    if frames is None:
        return channels
    if frames < 1 or channels % frames:
        raise ValueError(
            f"out_channels is {channels} with {frames} frames, expected as many channels in each: "
            "frames is how many times the data have in y"
        )
    return channels // frames


def _per_axis(
    name: str, value: int | Sequence[int] | None, dims: int, *, least: int
) -> tuple[int, ...] | None:
    if value is None:
        return None
    each = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(each) != dims or min(each) < least:
        raise ValueError(
            f"{name} is {value}, expected a number of points >= {least}, or one for each of the "
            f"{dims} axes"
        )
    return each
