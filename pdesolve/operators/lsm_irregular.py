"""Latent spectral model for point clouds: to a grid and back by learned Fourier projections."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..layers.coordinate_map import CoordinateMap
from ..layers.exact_loading import load_exactly
from ..layers.latent_unet import LatentUNet, ScaleNorm
from ..layers.official_lsm import irregular_arguments, irregular_weights
from ..layers.point_spectrum import PointSpectrum
from ..recorded import recorded


@recorded
class LSMIrregular(nn.Module):
    """Map between fields at points, by a latent spectral model on the unit torus.

        ξ = map(points, condition)
        v = GELU(to_grid(lift(x), ξ) + W s);   v = body(v)          s: coordinates of the grid
        y = W₂ GELU(W₁ (to_points(v, ξ') + W' points') + b₁) + b₂

    to_grid and to_points are `PointSpectrum`s, map a `CoordinateMap`, the body is that of `LSM`.
    The number of points may differ from call to call.

    Args:
        in_channels: channels of x. Where the points are wanted among them, they have to be there.
        out_channels: channels of y.
        width: channels inside; a multiple of heads.
        condition_dim: numbers that describe the geometry of a sample; 0: it refuses them.
        shape: points of the grid; a multiple of 2^(scales - 1) patches.
        modes: Fourier modes that pass between points and grid, both signs counted.
        patch: points per axis of a patch.
        tokens, basis, heads, drop_dead_sine, spread_tokens: see `NeuralSpectralBlock`.
        scales, norm, align_corners: see `LatentUNet`.
        map_width: of the coordinate map.
        projection_width: channels inside the last pointwise network.
        published: transforms as in the published code, see `PointSpectrum`: they depend on the
            number of points, and complete half of the modes wrongly.
        idle: see `CoordinateMap`.

    Raises:
        ValueError: sizes that do not fit, with the way out.

    Source: Wu et al. 2023, arXiv 2301.12664, and its code for elasticity; `from_official` loads
    what that code trained.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 32,
        *,
        condition_dim: int = 0,
        shape: Sequence[int] = (96, 96),
        modes: Sequence[int] = (24, 23),
        patch: int = 6,
        tokens: int = 4,
        basis: int = 12,
        heads: int = 8,
        drop_dead_sine: bool = False,
        spread_tokens: bool = False,
        scales: int = 5,
        norm: ScaleNorm = "batch",
        align_corners: bool = True,
        map_width: int = 32,
        projection_width: int = 128,
        published: bool = False,
        idle: bool = False,
    ):
        super().__init__()
        self.in_channels, self.condition_dim = in_channels, condition_dim
        self.shape, self.patch = tuple(shape), (patch, patch)
        multiple = patch * 2 ** (scales - 1)
        if len(self.shape) != 2 or any(n % multiple for n in self.shape):
            raise ValueError(
                f"shape is {self.shape}, expected two multiples of {multiple}, a whole number of "
                f"patches of {patch} points on {scales} scales"
            )
        self.map = CoordinateMap(map_width, condition_dim, idle=idle)
        self.lifting = nn.Conv1d(in_channels, width, 1)
        self.to_grid = PointSpectrum(width, modes, shape, published=published)
        self.grid_coordinates = nn.Conv2d(2, width, 1)
        self.body = LatentUNet(
            width,
            dims=2,
            scales=scales,
            norm=norm,
            align_corners=align_corners,
            tokens=tokens,
            basis=basis,
            heads=heads,
            drop_dead_sine=drop_dead_sine,
            spread_tokens=spread_tokens,
        )
        self.to_points = PointSpectrum(width, modes, shape, published=published)
        self.point_coordinates = nn.Conv1d(2, width, 1)
        self.projection = nn.Sequential(
            nn.Conv1d(width, projection_width, 1),
            nn.GELU(),
            nn.Conv1d(projection_width, out_channels, 1),
        )

    @classmethod
    def from_official(
        cls, state_dict: Mapping[str, Tensor], *, variant: str, **constructor: Any
    ) -> "LSMIrregular":
        """Return the operator that an official model is, in the dtype of its weights.

        Args:
            state_dict: of a model of thuml/Latent-Spectral-Models, commit d5a0b40, joined with that
                of its coordinate map, whose keys begin with "iphi.".
            variant: its file: LSM_Irregular_Geo.
            constructor: in_dim, out_dim, d_model, num_token, num_basis, patch_size and padding
                as that code takes them; the padding is not read there either.

        Raises:
            ValueError: another file, or weights that do not fit.
        """
        weights = irregular_weights(state_dict)
        arguments = irregular_arguments(variant, weights, **constructor)
        model = cls(**arguments).to(state_dict["fc0.weight"].dtype)
        load_exactly(model, weights)
        return model

    def forward(
        self,
        x: Float[Tensor, "b c_in n"],
        condition: Float[Tensor, "b p"] | None = None,
        *,
        points: Float[Tensor, "... 2"],
        query: Float[Tensor, "... 2"] | None = None,
    ) -> Float[Tensor, "b c_out any"]:
        """Output fields at the query points.

        Args:
            x: values at the points.
            condition: what describes the geometry.
            points: where x is, the same for all samples or one set each.
            query: where y is wanted; None: at the points of x.

        Raises:
            ValueError: channels, points or condition are not this operator's.
        """
        self._check_input(x, condition, points)
        points = points.expand(x.shape[0], -1, -1)
        query = points if query is None else query.expand(x.shape[0], -1, -1)
        mapped = self.map(points, condition)
        v = self.to_grid.to_grid(self.lifting(x), mapped)
        v = self.body(F.gelu(v + self.grid_coordinates(self._grid(v))), self.patch)
        mapped = mapped if query is points else self.map(query, condition)
        u = self.to_points.to_points(v, mapped)
        return self.projection(u + self.point_coordinates(query.mT))

    def _grid(self, v: Tensor) -> Tensor:
        axes = [torch.linspace(0, 1, n, dtype=v.dtype, device=v.device) for n in self.shape]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]

    def _check_input(self, x: Tensor, condition: Tensor | None, points: Tensor) -> None:
        if x.ndim != 3 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"points): build LSMIrregular with the channels of the data"
            )
        if points.ndim > 3 or tuple(points.shape[-2:]) != (x.shape[2], 2):
            raise ValueError(
                f"points has shape {tuple(points.shape)}, expected ({x.shape[2]}, 2), or that for "
                f"each of {x.shape[0]} samples: one position for each value of x"
            )
        given = 0 if condition is None else condition.shape[1]
        if given != self.condition_dim:
            raise ValueError(
                f"condition of shape {None if condition is None else tuple(condition.shape)} "
                f"given, expected {self.condition_dim} numbers a sample: build LSMIrregular with "
                f"condition_dim={given}"
            )
