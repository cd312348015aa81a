"""Tensorised Fourier neural operator: spectral convolutions with factorised or dense weights."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid
from ..layers import Pointwise, PointwiseNetwork, SpectralConv, spectral_weight
from ..layers.weight import Factorization, LayerWeight
from ..ops.memory import to_channels_last
from ..recorded import recorded

Activation = Callable[[Tensor], Tensor]
Skip = Literal["linear", "soft-gating", "identity"]
Norm = Literal["instance", "layer"]

# Steepness of the wall factor: it reaches 0.96 a quarter of the box away from the wall.
WALL_STEEPNESS = 8.0


@recorded
class TFNO(nn.Module):
    """Map between fields by alternating global Fourier filters and pointwise networks.

        v = lift(x, coordinates);   v = block_l(v), l = 1 ... layers;   y = project(v)

        block (post-activation, the default), σ omitted in the last one:
            u = σ(norm(spectral(v)) + skip(v));   v = σ(norm(mlp(u) + mlp_skip(v)))
        block (preactivation):
            a = norm(σ(v));   u = norm(σ(spectral(a) + skip(a)));   v = mlp(u) + mlp_skip(a)

    Takes grids of any size: the same weights are the same operator at every resolution.

    Args:
        in_channels: channels of x, without the coordinates that are added here.
        out_channels: channels of y.
        modes: kept Fourier modes per axis, both signs counted; its length is the number of axes.
        width: channels inside.
        layers: number of blocks.
        rank: None for dense weights (the FNO), a float for factorised weights with that share of
            the dense weights' entries, or Tucker ranks ([layers,] in, out, *modes); see
            `SpectralConv`.
        domain: grid whose box, placement and offset give the true positions of the points of
            whatever shape comes. None: axis j has coordinates i / n_j.
        coordinates: append the positions, divided by the sides of the box, to the input channels.
        lifting_width, projection_width: hidden channels of the first and last pointwise network;
            None is 2 * width.
        mlp_expansion: hidden channels of a block's pointwise network over width; 0 leaves the
            network and its skip out.
        skip, mlp_skip: what goes around the spectral convolution and around the network: a linear
            map, one factor per channel (soft-gating, starts at 1), the identity, or None.
        norm: "instance" (each channel over the grid, no parameters), "layer" (all channels
            over the grid, with scale and shift) or None. Batch norm is not offered: its
            statistics belong to one resolution.
        preactivation: the second order of the block, see above.
        activation: σ, a function of torch or torch.nn.functional.
        separable: spectral convolutions filter each channel by itself.
        factorization: "tucker", "cp" or "tt" (tensor train).
        joint: factorise the spectral weights of all layers as one tensor, as the paper does. Its
            layer axis keeps full rank; at small shares a common share would leave it rank 1, all
            layers alike. False: each layer by itself, as in neuraloperator 2.0.0.
        domain_padding: zeros added before the blocks and cut off after them, as a share of the
            points per axis (rounded to points), one number or one per axis. For fields that are
            not periodic; good values 0.05 to 0.25.
        pad_both_sides: add that share on both sides of each axis; False: behind the last point.
        wall_factor: multiply y by Π tanh(8 x_j / L_j) tanh(8 (L_j - x_j) / L_j) over the
            non-periodic axes of `domain`, which makes it exactly 0 on those walls.

    Raises:
        ValueError: sizes or options that do not fit, with the way out.

    Source: Kossaifi et al. 2024, arXiv 2310.00120; block order and initial values of
    neuraloperator 2.0.0, whose outputs it reproduces on even grids. There another activation
    than GELU changes the blocks and the projection only; here it is used everywhere.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: Sequence[int],
        width: int,
        layers: int = 4,
        rank: float | Sequence[int] | None = None,
        *,
        domain: Grid | None = None,
        coordinates: bool = True,
        lifting_width: int | None = None,
        projection_width: int | None = None,
        mlp_expansion: float = 0.5,
        skip: Skip | None = "linear",
        mlp_skip: Skip | None = "soft-gating",
        norm: Norm | None = None,
        preactivation: bool = False,
        activation: Activation = F.gelu,
        separable: bool = False,
        factorization: Factorization = "tucker",
        joint: bool = False,
        domain_padding: float | Sequence[float] = 0.0,
        pad_both_sides: bool = True,
        wall_factor: bool = False,
    ):
        super().__init__()
        dims = len(modes)
        check_domain(domain, dims, wall_factor)
        self.in_channels, self.out_channels, self.dims = in_channels, out_channels, dims
        self.domain, self.coordinates, self.zero_on_boundary = domain, coordinates, wall_factor
        self.padding = _Padding(domain_padding, dims, pad_both_sides)
        lifted = in_channels + (dims if coordinates else 0)
        self.lifting = PointwiseNetwork(lifted, lifting_width or 2 * width, width, activation)
        form = {"factorization": factorization, "separable": separable}
        views: list[LayerWeight | None] = [None] * layers
        if joint:
            self.weight = spectral_weight(width, width, modes, rank, layers=layers, **form)
            views = [self.weight.layer(layer) for layer in range(layers)]
            rank = None
        self.blocks = nn.ModuleList(
            _Block(
                SpectralConv(width, width, modes, rank, weight=view, **form),
                skip=skip,
                mlp_skip=mlp_skip,
                mlp_width=round(width * mlp_expansion),
                norm=norm,
                activation=activation,
                preactivation=preactivation,
                last=layer == layers - 1,
            )
            for layer, view in enumerate(views)
        )
        self.projection = PointwiseNetwork(
            width, projection_width or 2 * width, out_channels, activation
        )

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b c_out *grid"]:
        """Output fields at the points of x.

        Raises:
            ValueError: axes or channels of x are not this operator's, or a condition is given.
        """
        self._check_input(x, condition)
        grid = x.shape[2:]
        v = torch.cat([x, positions(x, self.domain)], 1) if self.coordinates else x
        # Here, where channels are few; every part keeps the format, in which it is fastest.
        v = self.padding.pad(self.lifting(to_channels_last(v)))
        for block in self.blocks:
            v = block(v)
        y = self.projection(self.padding.crop(v, grid))
        return y * wall_distances(x, self.domain) if self.zero_on_boundary else y

    def _check_input(self, x: Tensor, condition: Tensor | None) -> None:
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"{self.dims} grid axes): build TFNO with the channels of the data, and with as "
                f"many modes as the grid has axes"
            )
        if condition is not None:
            raise ValueError(
                f"condition of shape {tuple(condition.shape)} given, expected none: TFNO takes no "
                f"parameters; add them to x as constant channels"
            )


def positions(x: Float[Tensor, "b c *grid"], domain: Grid | None) -> Float[Tensor, "b d *grid"]:
    """Return the positions of the points of x, each over the side of the box; see `TFNO`."""
    found = torch.stack(torch.meshgrid(*_axes(x, domain), indexing="ij"))
    return found.expand(x.shape[0], *found.shape)


def wall_distances(x: Float[Tensor, "b c *grid"], domain: Grid | None) -> Float[Tensor, "..."]:
    """Return the factor, shaped to meet x, that is 0 on the walls; see `TFNO`."""
    assert domain is not None
    factor = x.new_ones(())
    for j, (s, periodic) in enumerate(zip(_axes(x, domain), domain.periodic, strict=True)):
        if not periodic:
            wall = torch.tanh(WALL_STEEPNESS * s) * torch.tanh(WALL_STEEPNESS * (1 - s))
            factor = factor * wall.reshape(-1, *[1] * (domain.dims - 1 - j))
    return factor


def _axes(x: Tensor, domain: Grid | None) -> list[Tensor]:
    """Positions along each axis of the grid of x, divided by the side of the box."""
    options = {"dtype": x.dtype, "device": x.device}
    if domain is None:
        return [torch.arange(n, **options) / n for n in x.shape[2:]]
    grid = domain.resized(x.shape[2:])
    return [grid.axis(j, **options) / grid.lengths[j] for j in range(grid.dims)]


class _Block(nn.Module):
    """Spectral convolution and pointwise network, each with a path around it."""

    def __init__(
        self,
        spectral: SpectralConv,
        *,
        skip: Skip | None,
        mlp_skip: Skip | None,
        mlp_width: int,
        norm: Norm | None,
        activation: Activation,
        preactivation: bool,
        last: bool,
    ):
        super().__init__()
        width = spectral.out_channels
        self.spectral, self.skip = spectral, _skip(skip, width)
        self.mlp = self.mlp_skip = None
        if mlp_width:
            self.mlp = PointwiseNetwork(width, mlp_width, width, activation)
            self.mlp_skip = _skip(mlp_skip, width)
        self.norms = nn.ModuleList(_norm(norm, width) for _ in range(2))
        self.activation, self.last, self.preactivation = activation, last, preactivation

    def forward(self, v: Tensor) -> Tensor:
        return self._preactivated(v) if self.preactivation else self._postactivated(v)

    def _postactivated(self, v: Tensor) -> Tensor:
        u = _plus(self.norms[0](self.spectral(v)), self.skip, v)
        u = u if self.last else self.activation(u)
        u = u if self.mlp is None else _plus(self.mlp(u), self.mlp_skip, v)
        u = self.norms[1](u)
        return u if self.last else self.activation(u)

    def _preactivated(self, v: Tensor) -> Tensor:
        # Both skips start from the activated field, as in the published code; in residual
        # networks they start from v itself.
        v = self.norms[0](self.activation(v))
        u = _plus(self.spectral(v), self.skip, v)
        u = self.norms[1](u if self.last else self.activation(u))
        return u if self.mlp is None else _plus(self.mlp(u), self.mlp_skip, v)


def _plus(u: Tensor, skip: nn.Module | None, v: Tensor) -> Tensor:
    if isinstance(skip, Pointwise):
        return skip.plus(u, v)
    return u if skip is None else u + skip(v)


class _SoftGating(nn.Module):
    """One learned factor per channel, starting at 1."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.reshape(-1, *[1] * (x.ndim - 2))


class _GroupNorm(nn.GroupNorm):
    """Norm of groups of channels that keeps channels last, on any number of axes."""

    def forward(self, input: Tensor) -> Tensor:
        return to_channels_last(super().forward(input))


class _Padding:
    """Zeros around a field, in proportion to its points, and the way back."""

    def __init__(self, share: float | Sequence[float], dims: int, both_sides: bool):
        shares = tuple(share) if isinstance(share, Sequence) else (share,) * dims
        if len(shares) != dims or min(shares) < 0:
            raise ValueError(
                f"domain_padding is {share}, expected one share of the points >= 0, or one for "
                f"each of the {dims} axes, such as 0.1"
            )
        self.shares, self.both_sides = shares, both_sides

    def _widths(self, grid: Sequence[int]) -> list[tuple[int, int]]:
        added = [round(share * n) for share, n in zip(self.shares, grid, strict=True)]
        return [(n if self.both_sides else 0, n) for n in added]

    def pad(self, v: Tensor) -> Tensor:
        return _padded(v, self._widths(v.shape[2:]))

    def crop(self, v: Tensor, grid: Sequence[int]) -> Tensor:
        # Not by slices, whose gradient is contiguous whatever the memory format of v.
        return _padded(v, [(-before, -after) for before, after in self._widths(grid)])


def _padded(v: Tensor, widths: Sequence[tuple[int, int]]) -> Tensor:
    # torch counts axes from the last one.
    flat = [n for before_after in reversed(widths) for n in before_after]
    return F.pad(v, flat) if any(flat) else v


def _skip(kind: Skip | None, width: int) -> nn.Module | None:
    if kind is None:
        return None
    if kind == "linear":
        return Pointwise(width, width, bias=False)
    if kind == "soft-gating":
        return _SoftGating(width)
    if kind == "identity":
        return nn.Identity()
    raise ValueError(f'skip is {kind!r}, expected "linear", "soft-gating", "identity" or None')


def _norm(kind: Norm | None, width: int) -> nn.Module:
    if kind is None:
        return nn.Identity()
    if kind == "instance":
        return _GroupNorm(width, width, affine=False)
    if kind == "layer":
        return _GroupNorm(1, width)
    raise ValueError(
        f'norm is {kind!r}, expected "instance", "layer" or None: batch statistics would tie the '
        f"operator to one resolution"
    )


def check_domain(domain: Grid | None, dims: int, wall_factor: bool) -> None:
    """Refuse a domain that has other axes than the operator, or no walls where some are needed."""
    if domain is not None and domain.dims != dims:
        raise ValueError(
            f"modes has {dims} entries, expected {domain.dims}, one for each axis of the domain"
        )
    if wall_factor and (domain is None or all(domain.periodic)):
        raise ValueError(
            f"wall_factor with domain {domain}, expected a grid with an axis that is not "
            f"periodic: pass domain=Grid(...), or leave wall_factor out"
        )
