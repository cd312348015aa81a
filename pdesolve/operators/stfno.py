"""Spatiotemporal Fourier neural operator: some frames of a flow to any number of later ones."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid
from ..layers import Pointwise, PointwiseNetwork, SpectralConv
from ..ops.memory import to_channels_last
from ..ops.solenoidal import solenoidal
from ..recorded import recorded

Activation = Callable[[Tensor], Tensor]
Positions = Literal["coordinates", "products"]
FrameTimes = Literal["fixed", "stretched"]

# Frames in the unit of the time coordinate, as published: t = 0.01, 0.02, ...
TIME_UNIT = 100
# Of the layer norm, as published: fields far below 1 are still scaled up.
NORM_FLOOR = 1e-7


@recorded
class STFNO(nn.Module):
    """Map some frames of an evolution on a torus to any number of later ones, all at once.

        v = W norm(x + positions),        norm over channels, space and time
        v = σ(mlp(S v) + last frame of v)            S: spectral, to `latent_steps` frames
        v = σ(mlp_l(S_l v) + W_l v),      l = 2 ... layers
        z = R v                           one value a component, point and latent frame
        y = x_last + last frames of Q [0, x_last, z]

    S are spectral convolutions over space and time, W and R pointwise maps, x_last is the last
    frame of x and Q one more spectral convolution, with a number added to each mode. Before Q as
    many frames of zeros as it is given stand in front; behind it the window has one frame more
    than the output in place of x_last and z. A transform may come back on any number of frames,
    hence the free numbers of frames. All are scaled by 1/n, so that amplitudes do not depend on
    them.

    A frame of y has the same time whatever number is asked for: fewer frames than `out_channels`
    has are the first of these, more of them go on from the last ones. As published ("stretched"),
    another number samples the one trigonometric polynomial in time that Q yields at other times.

    Space-time fields are (b, c, t, *space) with any number of frames t. Frames as channels, which
    a window of a dataset gives, are taken too, (b, t c, *space), frame by frame and inside a
    frame component by component; the output then has the same form.

    Fields are physical, without a `Normalized` around: the layer norm takes its place, and what
    is learned is the change since the last frame.

    Args:
        in_channels: channels of a window of frames: fields * frames of x.
        out_channels: likewise of y; out_channels / fields frames are the default output.
        modes: kept modes of time and of each axis of space, (t, x) or (t, x, y), both signs
            counted. Time is the axis of which half is stored: t // 2 + 1 frequencies k >= 0.
            Published: (8, 24, 24) and (8, 64, 64), there called 5 and 12 or 32 a corner.
        width: channels inside, at least one an axis of space-time.
        fields: components of a frame, such as 2 for a velocity.
        latent_steps: frames inside.
        layers: spectral convolutions before Q.
        mlp_expansion: hidden channels of the pointwise networks over width.
        activation: σ, a function of torch or torch.nn.functional.
        positions: what tells places and times apart, see `coordinates` and `products`.
        beta: β of the factor exp(βt) in them, t in units of 100 frames.
        bias_scale: δ of the number that Q adds to each mode, see `SpectralConv`.
        last_modes: modes of Q; None takes those of the other layers, "full" all that the grid of
            `domain` and the window of Q have.
        frame_times: "fixed", or "stretched" as published.
        helmholtz: leave only the part of the output without divergence, for velocities.
        domain: grid of the data in space, for "full" and the sides of the box of `helmholtz`.

    Raises:
        ValueError: sizes or options that do not fit, with the way out.

    Fails when: space has walls; every layer takes fields as periodic.

    Source: Cao et al. 2024, arXiv 2405.17211, and its public code. There transforms of time carry
    the number of frames into the amplitude, x must have at least `latent_steps` frames, and the
    grid of the positions counts the periodic end point twice.
    """

    normalizes_itself: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: Sequence[int],
        width: int,
        *,
        fields: int = 1,
        latent_steps: int = 10,
        layers: int = 4,
        mlp_expansion: float = 4.0,
        activation: Activation = F.gelu,
        positions: Positions = "coordinates",
        beta: float = 0.01,
        bias_scale: float = 0.1,
        last_modes: Sequence[int] | Literal["full"] | None = None,
        frame_times: FrameTimes = "fixed",
        helmholtz: bool = False,
        domain: Grid | None = None,
    ):
        super().__init__()
        _check_sizes(in_channels, out_channels, modes, width, fields, latent_steps, layers)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.fields, self.dims = fields, len(modes) - 1
        self.output_steps, self.frame_times = out_channels // fields, frame_times
        _check_domain(domain, self.dims, fields, full=last_modes == "full", helmholtz=helmholtz)
        self.lengths = domain.lengths if helmholtz and domain is not None else None
        hidden = round(width * mlp_expansion)
        self.lifting = _Lifting(fields, modes, width, positions, beta)
        self.blocks = nn.ModuleList(
            _Block(modes, width, hidden, activation, frames=None if layer else latent_steps)
            for layer in range(layers)
        )
        self.reduction = Pointwise(width, fields)
        if last_modes == "full":
            assert domain is not None
            last_modes = (2 * (latent_steps + 1), *domain.shape)
        self.last_spectral = _SpaceTimeConv(fields, last_modes or modes, bias_scale)

    def forward(
        self,
        x: Float[Tensor, "b c_in *grid"],
        condition: Float[Tensor, "b p"] | None = None,
        *,
        output_steps: int | None = None,
    ) -> Float[Tensor, "b c_out *output_grid"]:
        """Later frames of x, in the layout of x.

        Args:
            x: frames, (b, fields, t, *space) or (b, in_channels, *space).
            condition: refused.
            output_steps: frames wanted; None is as many as `out_channels` has. See the class.

        Raises:
            ValueError: axes or channels of x are not this operator's, no step is wanted, or a
                condition is given.
        """
        if condition is not None:
            raise ValueError(
                f"condition of shape {tuple(condition.shape)} given, expected none: STFNO takes "
                f"no parameters; add them to x as components of each frame"
            )
        steps = self.output_steps if output_steps is None else output_steps
        known = self.space_time(x)
        y = self.output(self.latent(x), x, self._reached(steps))
        while y.shape[2] < steps:
            last = torch.cat([known, y], 2)[:, :, -known.shape[2] :]
            more = self._reached(steps - y.shape[2])
            y = torch.cat([y, self.output(self.latent(last), last, more)], 2)
        as_channels = x.ndim == self.dims + 2
        return y.movedim(2, 1).flatten(1, 2) if as_channels else y

    def _reached(self, steps: int) -> int:
        """Return how many of so many frames one call makes."""
        return steps if self.frame_times == "stretched" else min(steps, self.output_steps)

    def space_time(self, x: Float[Tensor, "b c_in *grid"]) -> Float[Tensor, "b c t *space"]:
        """Return x as (b, fields, t, *space), frames that were channels unfolded."""
        channels = {self.dims + 2: self.in_channels, self.dims + 3: self.fields}.get(x.ndim)
        if channels is None or x.shape[1] != channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.fields} components, frames, "
                f"{self.dims} axes of space) or (batch, {self.in_channels} channels, {self.dims} "
                f"axes): give other numbers of frames in the first form"
            )
        if x.ndim == self.dims + 3:
            return x
        return x.unflatten(1, (-1, self.fields)).movedim(1, 2)

    def latent(self, x: Float[Tensor, "b c_in *grid"]) -> Float[Tensor, "b c latent *space"]:
        """Everything before Q: the latent frames z, (b, fields, latent_steps, *space).

        Args:
            x: as for `forward`.
        """
        # Inside, time is the last axis: the one of which transforms store half the modes.
        v = self.lifting(self.space_time(x).movedim(2, -1))
        for block in self.blocks:
            v = block(v)
        return self.reduction(v).movedim(-1, 2)

    def output(
        self,
        z: Float[Tensor, "b c latent *space"],
        x: Float[Tensor, "b c_in *grid"],
        output_steps: int | None = None,
    ) -> Float[Tensor, "b c t *space"]:
        """Frames (b, fields, output_steps, *space) from the latent ones: Q and the last frame.

        Args:
            z: what `latent` returned.
            x: as for `forward`; its last frame is the start.
            output_steps: frames wanted; no more than one call makes unless they are stretched.
        """
        wanted = self.output_steps if output_steps is None else output_steps
        if wanted < 1:
            raise ValueError(
                f"output_steps is {wanted}, expected >= 1: leave it out for {self.output_steps}"
            )
        if wanted > self._reached(wanted):
            raise ValueError(
                f"output_steps is {wanted}, expected at most {self.output_steps} of one call: the "
                "operator itself goes on from there"
            )
        steps = wanted if self.frame_times == "stretched" else self.output_steps
        last = self.space_time(x)[:, :, -1:]
        window = torch.cat([last, z], 2)
        given = window.shape[2]
        window = F.pad(window, (0, 0) * self.dims + (given, 0))
        y = self.last_spectral(window, (given + 1 + steps, *window.shape[3:]))
        y = last + y[:, :, -steps:][:, :, :wanted]
        return y if self.lengths is None else solenoidal(y, self.lengths)


class _Lifting(nn.Module):
    """Frames (b, fields, *space, t) with their positions, normalised, as `width` channels."""

    def __init__(
        self, fields: int, modes: Sequence[int], width: int, positions: Positions, beta: float
    ):
        super().__init__()
        self.fields, self.width, self.beta = fields, width, beta
        self.mixing = None
        if positions == "products":
            time, *space = modes
            self.waves = (*(max(1, n // 4) for n in space), max(1, (time // 2 + 1) // 2))
            self.mixing = Pointwise(math.prod(self.waves), width)
        elif positions != "coordinates":
            raise ValueError(f'positions is {positions!r}, expected "coordinates" or "products"')
        self.norm = nn.GroupNorm(1, width, eps=NORM_FLOOR)
        self.pointwise = Pointwise(width, width)

    def forward(self, u: Tensor) -> Tensor:
        # Every channel holds a component, in turn.
        v = u[:, torch.arange(self.width, device=u.device) % self.fields]
        axes = _axes(u)
        if self.mixing is None:
            v = v + coordinates(axes, self.width, self.beta)
        else:
            v = v + self.mixing(products(axes, self.waves, self.beta)[None])
        return self.pointwise(to_channels_last(self.norm(v)))


class _Block(nn.Module):
    """Spectral convolution and pointwise network, with a path around both.

    Args:
        frames: of the output; None keeps the number. With another number the last frame alone
            goes around, to all new ones.
    """

    def __init__(
        self,
        modes: Sequence[int],
        width: int,
        hidden: int,
        activation: Activation,
        *,
        frames: int | None,
    ):
        super().__init__()
        time, *space = modes
        self.spectral = SpectralConv(width, width, (*space, time), bias=False)
        self.mlp = PointwiseNetwork(width, hidden, width, activation)
        self.skip = Pointwise(width, width) if frames is None else None
        self.frames, self.activation = frames, activation

    def forward(self, v: Tensor) -> Tensor:
        shape = (*v.shape[2:-1], self.frames or v.shape[-1])
        around = v[..., -1:] if self.skip is None else self.skip(v)
        return self.activation(self.mlp(self.spectral(v, shape)) + around)


class _SpaceTimeConv(nn.Module):
    """Spectral convolution with a bias for each mode of fields (b, c, t, *space)."""

    def __init__(self, channels: int, modes: Sequence[int], bias_scale: float):
        super().__init__()
        time, *space = modes
        self.spectral = SpectralConv(
            channels, channels, (*space, time), bias=False, mode_bias=bias_scale
        )

    def forward(
        self, window: Float[Tensor, "b c *grid"], output_shape: Sequence[int]
    ) -> Float[Tensor, "b c *output_grid"]:
        frames, *space = output_shape
        return self.spectral(window.movedim(2, -1), (*space, frames)).movedim(-1, 2)


def coordinates(axes: Sequence[Tensor], width: int, beta: float) -> Float[Tensor, "w *grid"]:
    """Positions as channels: x, y, t, then exp(βt) sin πt, exp(βt) cos 2πt, exp(βt) sin 3πt, ...

    Args:
        axes: coordinate of each axis of space, then of time.
        width: channels wanted.
        beta: β.
    """
    t, shape = axes[-1], tuple(len(axis) for axis in axes)
    waves = [
        torch.exp(beta * t) * (torch.cos if k % 2 else torch.sin)(torch.pi * (k + 1) * t)
        for k in range(width - len(axes))
    ]
    grids = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([*grids, *(wave.expand(shape) for wave in waves)])


def products(axes: Sequence[Tensor], waves: Sequence[int], beta: float) -> Float[Tensor, "w *grid"]:
    """Positions as channels φ_i(x) φ_j(y) φ_k(t) exp(βt) / (ijk), i, j, k = 1, 2, ...

    φ_1, φ_2, φ_3 ... = sin 2πs, cos 2πs, sin 4πs, ...: periodic in space.

    Args:
        axes: coordinate of each axis of space, then of time.
        waves: numbers of i, j and k.
        beta: β.
    """
    factors = [_waves(axis, count) for axis, count in zip(axes, waves, strict=True)]
    factors[-1] = factors[-1] * torch.exp(beta * axes[-1])
    found = factors[0]
    for factor in factors[1:]:
        found = torch.einsum("i...,js->ij...s", found, factor).flatten(0, 1)
    return found


def _waves(s: Tensor, count: int) -> Tensor:
    return torch.stack([
        (torch.cos if k % 2 else torch.sin)(2 * torch.pi * (k // 2 + 1) * s) / (k + 1)
        for k in range(count)
    ])  # fmt: skip


def _axes(u: Tensor) -> list[Tensor]:
    """Coordinates of (b, c, *space, t): i / n in space, (i + 1) / 100 in time."""
    like = {"dtype": u.dtype, "device": u.device}
    space = [torch.arange(n, **like) / n for n in u.shape[2:-1]]
    return [*space, torch.arange(1, u.shape[-1] + 1, **like) / TIME_UNIT]


def _check_sizes(
    in_channels: int,
    out_channels: int,
    modes: Sequence[int],
    width: int,
    fields: int,
    latent_steps: int,
    layers: int,
) -> None:
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if fields < 1 or channels < fields or channels % fields:
            raise ValueError(
                f"{name} is {channels}, expected a multiple of fields {fields}: give the "
                f"components of all frames, and the components of one as fields"
            )
    if len(modes) not in (2, 3):
        raise ValueError(
            f"modes is {tuple(modes)}, expected numbers for time and for one or two axes of space, "
            f"such as (8, 16, 16)"
        )
    if width < len(modes) or latent_steps < 1 or layers < 1:
        raise ValueError(
            f"width, latent_steps and layers are {width}, {latent_steps} and {layers}, expected at "
            f"least {len(modes)}, which the coordinates need, 1 and 1"
        )


def _check_domain(
    domain: Grid | None, dims: int, fields: int, *, full: bool, helmholtz: bool
) -> None:
    if (full or helmholtz) and (domain is None or domain.dims != dims):
        raise ValueError(
            f'domain is {domain}, expected a grid of {dims} axes for last_modes="full" and '
            f"helmholtz: pass domain=Grid(...), or the modes themselves as last_modes"
        )
    if helmholtz and fields != dims:
        raise ValueError(
            f"helmholtz with fields {fields}, expected {dims}: the components of a velocity"
        )
