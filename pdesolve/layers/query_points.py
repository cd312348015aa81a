"""Where a learned basis is evaluated: nodes of a grid, its times, or any points, as features."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid


class QueryPoints(nn.Module):
    """Coordinates of points as the input of a network.

    Positions in the box of a domain become 2 x_j / L_j - 1, times 2 (t - t_0) / (t_end - t_0) - 1;
    without a domain they stay as they are. On top of that
        periodic axes of the domain      cos(2π x_j / L_j), sin(2π x_j / L_j) in place of x_j
        Fourier features                 cos(2π B x), sin(2π B x) in place of all, B_ij ~ N(0, σ²)

    Args:
        domain: grid whose nodes are the default points; None: there are no default points.
        dims: coordinates of a point, without time.
        times: at which every point is asked for; None: points have no time.
        fourier_features: rows of B for each σ; 0: no Fourier features.
        fourier_scales: σ, one or more.

    Source of the features: Tancik et al. 2020, arXiv 2006.10739; several scales: Wang et al. 2021,
    arXiv 2012.10047.
    """

    frequencies: Tensor | None

    def __init__(
        self,
        domain: Grid | None,
        dims: int,
        *,
        times: Sequence[float] | None = None,
        fourier_features: int = 0,
        fourier_scales: Sequence[float] = (1.0,),
    ):
        super().__init__()
        self.domain, self.dims = domain, dims
        self.times = None if times is None else tuple(times)
        periodic = (False,) * dims if domain is None else domain.periodic
        self.periodic = ((False,) if times is not None else ()) + periodic
        inputs = len(self.periodic) + sum(self.periodic)
        frequencies = [s * torch.randn(fourier_features, inputs) for s in fourier_scales]
        self.register_buffer("frequencies", torch.cat(frequencies) if fourier_features else None)
        self.features = inputs if self.frequencies is None else 2 * len(self.frequencies)

    def nodes(self, like: Tensor) -> Float[Tensor, "n d"]:
        """Nodes of the domain, first axis slowest, in the dtype and on the device of a tensor."""
        assert self.domain is not None
        nodes = self.domain.coordinates(dtype=like.dtype, device=like.device)
        return nodes.flatten(1).T

    def forward(self, points: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n_all features"]:
        """Features of points; with times those of every point at the first time, then the next."""
        points = self._scaled(points)
        if self.times is not None:
            points = self._at_times(points)
        columns = []
        for j, periodic in enumerate(self.periodic):
            s = points[..., j]
            # A scaled period goes from -1 to 1.
            columns += [torch.cos(math.pi * s), torch.sin(math.pi * s)] if periodic else [s]
        features = torch.stack(columns, -1)
        if self.frequencies is None:
            return features
        phases = 2 * math.pi * features @ self.frequencies.T
        return torch.cat([phases.cos(), phases.sin()], -1)

    def _scaled(self, points: Tensor) -> Tensor:
        if self.domain is None:
            return points
        return 2 * points / points.new_tensor(self.domain.lengths) - 1

    def _at_times(self, points: Tensor) -> Tensor:
        assert self.times is not None
        first, last = self.times[0], self.times[-1]
        span = last - first if last > first else 1.0
        scaled = points.new_tensor([2 * (t - first) / span - 1 for t in self.times])
        shape = (*points.shape[:-2], len(self.times), *points.shape[-2:-1])
        column = scaled[:, None].expand(shape)[..., None]
        spread = points[..., None, :, :].expand(*shape, points.shape[-1])
        return torch.cat([column, spread], -1).flatten(-3, -2)
