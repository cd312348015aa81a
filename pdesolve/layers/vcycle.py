"""One multigrid V-cycle whose stencils are learned: a linear map between fields with channels."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal, cast

from jaxtyping import Float
from torch import Tensor, nn

from .boundary import Boundary, boundaries, mirror, wrap
from .channels_last import channels_last
from .field_norm import FieldNorm, Norm

Transfer = Literal["boundary", "zero", "unpadded"]
Share = Literal["operator", "both"]
Idle = Literal["first", "last"]
Boundaries = tuple[Boundary, ...]
CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Any] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}


class VCycle(nn.Module):
    """A V-cycle on J grids, each half as fine as the one before.

        level 0                u ← S f;               p_0 - 1 times   u ← u + S (f - A u)
        levels 1 ... J-1       u ← Π u,  f ← R f;     p_l times       u ← u + S (f - A u)
        levels J-2 ... 0       u ← N (u_l + P u_{l+1});   q_l times   u ← u + S (f_l - A u)

    S, A, Π, R are convolutions with three points per axis, P is a transposed one; each step has
    its own, between all pairs of channels. Takes grids of any size: n points become ⌈n / 2⌉, and
    the way up returns to the sizes of the way down. On a grid of another spacing the same
    stencils are another operator.

    Args:
        in_channels: channels of f.
        width: channels of u.
        iterations: (p_l, q_l), smoothing steps before and after the coarser levels, finest first.
        dims: number of axes.
        boundary: one for all axes or one each, see `layers.boundary`.
        bias: add a number per channel after S and A; the map is then affine.
        norm: N, see `FieldNorm`; one for all levels but the coarsest, or one for each of them.
        shape: points of the finest grid, for pixelwise norms only.
        restrict_residual: f ← R (f - A u) with an A of its own: the classical V-cycle.
        share: "operator": one A for all steps of a level; "both": one A and one S. None: neither.
        prolongation_kernels: points per axis of P, 4 or 3; one number, or one for each level but
            the coarsest, finest first.
        transfer: how Π, R and P meet the walls. "boundary": by the boundary, as S and A do.
            "zero": P sees zeros behind the walls, whatever the boundary, as in the published
            code: on a torus the cycle then does not commute with translations. "unpadded": none
            reaches beyond the walls; n points become ⌊(n - 1) / 2⌋.
        growth: level l has l + 1 times the channels.
        idle: also hold what the published code builds and never uses: the A of the very first
            step ("first"), or the q steps of the coarsest level ("last").

    Raises:
        ValueError: options that do not fit, with the way out.

    Source: He, Liu and Xu 2024, arXiv 2310.19809, algorithm 1, as its code has it: f and u are
    restricted where the paper restricts the residual. There P zero-pads in every case.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        iterations: Sequence[Sequence[int]],
        *,
        dims: int = 2,
        boundary: Boundary | Sequence[Boundary] = "dirichlet",
        bias: bool = False,
        norm: Norm | Sequence[Norm | None] | None = None,
        shape: Sequence[int] | None = None,
        restrict_residual: bool = False,
        share: Share | None = None,
        prolongation_kernels: int | Sequence[int] = 4,
        transfer: Transfer = "boundary",
        growth: bool = False,
        idle: Idle | None = None,
    ):
        super().__init__()
        _check(iterations, prolongation_kernels, dims, transfer, share, idle)
        count = len(iterations)
        self.transfer = transfer
        self.boundary = boundaries(boundary, dims)
        if transfer == "unpadded" and "periodic" in self.boundary:
            raise ValueError(
                f'transfer is "unpadded" with boundary {self.boundary}, expected walls on all '
                f'axes: a periodic axis has no end to stop at; use transfer="boundary"'
            )
        padded = transfer != "unpadded"
        factors = [level + 1 if growth else 1 for level in range(count)]
        self.levels = nn.ModuleList(
            _Level(
                in_channels * factor,
                width * factor,
                smoothings,
                self.boundary,
                bias=bias,
                share=share,
                starts=level == 0 and idle != "first",
                restricts=restrict_residual and level < count - 1,
            )
            for level, (factor, smoothings) in enumerate(zip(factors, iterations, strict=True))
        )
        pairs = list(itertools.pairwise(factors))
        self.restrictions_u = nn.ModuleList(
            _Stencil(width * fine, width * coarse, self.boundary, stride=2, padded=padded)
            for fine, coarse in pairs
        )
        self.restrictions_f = nn.ModuleList(
            _Stencil(
                in_channels * fine, in_channels * coarse, self.boundary, stride=2, padded=padded
            )
            for fine, coarse in pairs
        )
        kernels = _per_level("prolongation_kernels", prolongation_kernels, count - 1)
        self.prolongations = nn.ModuleList(
            _Prolongation(width * coarse, width * fine, kernel, self.boundary, transfer)
            for (fine, coarse), kernel in zip(pairs, kernels, strict=True)
        )
        shapes = _shapes(shape, count - 1, padded=padded)
        self.norms = nn.ModuleList(
            FieldNorm(width * fine, kind, points)
            for (fine, _), kind, points in zip(
                pairs, _per_level("norm", norm, count - 1), shapes, strict=True
            )
        )

    def forward(self, f: Float[Tensor, "b c_in *grid"]) -> Float[Tensor, "b c_out *grid"]:
        """Return u, what the cycle makes of the right-hand side f.

        Raises:
            ValueError: the grid has too few points for the levels.
        """
        last = len(self.levels) - 1
        self._check_grid(f.shape[2:])
        levels = cast(Sequence[_Level], self.levels)
        states: list[tuple[Tensor, Tensor]] = []
        u = None
        for l, level in enumerate(levels):
            # Once a level: A, S and R need f one point beyond the periodic edges.
            f = wrap(f, self.boundary, 1)
            u = level.descend(u, f)
            states.append((u, f))
            if l < last:
                f = self.restrictions_f[l](level.residual(u, f))
                u = self.restrictions_u[l](wrap(u, self.boundary, 1))
        for l in reversed(range(last)):
            fine, f = states[l]
            u = self.norms[l](fine + self.prolongations[l](u, fine.shape[2:]))
            u = levels[l].ascend(u, f)
        assert u is not None
        return u

    def _check_grid(self, shape: Sequence[int]) -> None:
        least = 2 ** len(self.levels) - 1
        if self.transfer == "unpadded" and min(shape) < least:
            raise ValueError(
                f"x has grid {tuple(shape)}, expected {least} points or more per axis for "
                f"{len(self.levels)} levels without padding: use fewer levels or a finer grid"
            )


class _Level(nn.Module):
    """Smoothing steps u ← u + S (f - A u) on one grid; f comes with its periodic neighbours."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        smoothings: Sequence[int],
        boundary: Boundaries,
        *,
        bias: bool,
        share: Share | None,
        starts: bool,
        restricts: bool,
    ):
        super().__init__()
        self.before, self.after = smoothings
        self.boundary, self.share, self.starts = boundary, share, starts
        steps = self.before + self.after
        # The first step starts from u = 0 and needs no A; the restricted residual has its own.
        operators = max(steps - starts, 0) + restricts
        operators = min(operators, 1) if share else operators
        smoothers = min(steps, 1) if share == "both" else steps
        self.restricts = restricts
        self.operators = nn.ModuleList(
            _Stencil(width, in_channels, boundary, bias=bias) for _ in range(operators)
        )
        self.smoothers = nn.ModuleList(
            _Stencil(in_channels, width, boundary, bias=bias) for _ in range(smoothers)
        )

    def descend(self, u: Tensor | None, f: Tensor) -> Tensor:
        """Return u after the steps of the way down; None is a u of zero."""
        for step in range(self.before):
            u = self._step(u, f, step)
        assert u is not None
        return u

    def ascend(self, u: Tensor, f: Tensor) -> Tensor:
        """Return u after the steps of the way up."""
        for step in range(self.before, self.before + self.after):
            u = self._step(u, f, step)
        return u

    def residual(self, u: Tensor, f: Tensor) -> Tensor:
        """Return what the coarser level is to solve for, with its periodic neighbours."""
        return f - self.operators[-1](wrap(u, self.boundary, 2)) if self.restricts else f

    def _step(self, u: Tensor | None, f: Tensor, step: int) -> Tensor:
        smoother = self.smoothers[0 if self.share == "both" else step]
        if u is None:
            return channels_last(smoother(f))
        operator = self.operators[0 if self.share else step - self.starts]
        # Two neighbours for A leave one for S: u is continued once for both.
        return u + smoother(f - operator(wrap(u, self.boundary, 2)))


class _Stencil(nn.Module):
    """Convolution with three points per axis; its input brings its periodic neighbours along."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        boundary: Boundaries,
        *,
        stride: int = 1,
        bias: bool = False,
        padded: bool = True,
    ):
        super().__init__()
        self.boundary = boundary if padded else ()
        self.convolution = CONVOLUTIONS[len(boundary)](
            in_channels,
            out_channels,
            kernel_size=3,
            stride=stride,
            padding=[int(padded and kind == "dirichlet") for kind in boundary],
            bias=bias,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(mirror(x, self.boundary))


class _Prolongation(nn.Module):
    """Transposed convolution from m to 2m points per axis, cut to those of the finer level.

    Three points per axis are four whose last is zero.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        boundary: Boundaries,
        transfer: Transfer,
    ):
        super().__init__()
        self.boundary = boundary if transfer == "boundary" else ()
        if transfer == "unpadded":
            padding = [0] * len(boundary)
        else:
            # A continued axis has one coarse point, two fine ones, too many at either end.
            padding = [1 if kind == "dirichlet" or not self.boundary else 3 for kind in boundary]
        self.convolution = TRANSPOSED[len(boundary)](
            in_channels,
            out_channels,
            kernel_size=kernel,
            stride=2,
            padding=padding,
            output_padding=4 - kernel,
            bias=False,
        )

    def forward(self, u: Tensor, shape: Sequence[int]) -> Tensor:
        u = self.convolution(mirror(wrap(u, self.boundary, 1), self.boundary))
        for axis, n in enumerate(shape, start=2):
            # A cut that cuts nothing would still cost its gradient a copy.
            u = u if u.shape[axis] == n else u.narrow(axis, 0, n)
        return u


def _shapes(
    shape: Sequence[int] | None, count: int, *, padded: bool
) -> list[tuple[int, ...] | None]:
    """Points per axis of the first `count` levels."""
    shapes: list[tuple[int, ...] | None] = []
    for _ in range(count):
        shapes.append(None if shape is None else tuple(shape))
        if shape is not None:
            shape = [(n + 1) // 2 if padded else (n - 1) // 2 for n in shape]
    return shapes


def _per_level(name: str, value: Any, count: int) -> tuple:
    if value is None or isinstance(value, str | int):
        return (value,) * count
    if len(value) != count:
        raise ValueError(
            f"{name} has {len(value)} entries, expected one for all, or {count}: one for each "
            f"level but the coarsest"
        )
    return tuple(value)


def _check(
    iterations: Sequence[Sequence[int]],
    kernels: int | Sequence[int],
    dims: int,
    transfer: str,
    share: str | None,
    idle: str | None,
) -> None:
    pairs = [tuple(pair) for pair in iterations]
    if not pairs or any(len(pair) != 2 or min(pair) < 0 for pair in pairs) or pairs[0][0] < 1:
        raise ValueError(
            f"iterations is {iterations}, expected a pair (before, after) of counts >= 0 for each "
            f"level, finest first, with one step before at least on the finest: ((1, 0), (2, 0))"
        )
    if pairs[-1][1] and idle != "last":
        raise ValueError(
            f"iterations ends with {pairs[-1]}, expected no steps after the coarsest level: "
            f"write ({sum(pairs[-1])}, 0), since nothing lies between the two counts"
        )
    if not set([kernels] if isinstance(kernels, int) else kernels) <= {3, 4}:
        raise ValueError(f"prolongation_kernels is {kernels}, expected 3 or 4 points per axis")
    for name, value, allowed in (
        ("dims", dims, tuple(CONVOLUTIONS)),
        ("transfer", transfer, ("boundary", "zero", "unpadded")),
        ("share", share, (None, "operator", "both")),
        ("idle", idle, (None, "first", "last")),
    ):
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}, expected one of {allowed}")
