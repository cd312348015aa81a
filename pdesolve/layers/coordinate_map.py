"""A learned deformation of the plane that carries irregular points to the unit torus."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Polar coordinates are taken about a point beside the origin, where points of meshes lie.
CENTRE = 1e-4


class CoordinateMap(nn.Module):
    """Map points x to ξ = x + x · network(features, code), component by component.

    Features are x_1, x_2, angle and radius, a linear map of these, and sines and cosines of
    π 2^j times each; the code describes the geometry of a sample.

    Args:
        width: of the linear map; a multiple of 4, a quarter of it are octaves.
        code_dim: numbers of the code; 0: the map is the same for all samples.
        idle: also hold the layer that the published code builds for points without code and, with
            one, never uses.

    Source: Li et al. 2022, arXiv 2207.05209, section 3.3, and its code.
    """

    def __init__(self, width: int = 32, code_dim: int = 0, *, idle: bool = False):
        super().__init__()
        self.octaves = width // 4
        self.first = nn.Linear(4, width)
        self.code = nn.Linear(code_dim, width) if code_dim else None
        self.without_code = nn.Linear(3 * width, 4 * width) if idle or not code_dim else None
        self.hidden = nn.ModuleList(nn.Linear(4 * width, 4 * width) for _ in range(3))
        self.last = nn.Linear(4 * width, 2)

    def forward(
        self, points: Float[Tensor, "b n 2"], code: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b n 2"]:
        """Return ξ, where the unit square and its periodic images are the grid."""
        features = self._features(points)
        if self.code is not None:
            assert code is not None
            each = self.code(code)[:, None].expand(-1, points.shape[1], -1)
            features = torch.cat([each, features], -1)
        else:
            assert self.without_code is not None
            features = self.without_code(features)
        for layer in self.hidden:
            features = torch.tanh(layer(features))
        return points + points * self.last(features)

    def _features(self, points: Tensor) -> Tensor:
        offset = points - CENTRE
        angle = torch.atan2(offset[..., 1], offset[..., 0])
        radius = torch.linalg.vector_norm(offset, dim=-1)
        plain = torch.cat([points, angle[..., None], radius[..., None]], -1)
        octaves = 2.0 ** torch.arange(self.octaves, dtype=points.dtype, device=points.device)
        phases = (math.pi * octaves * plain[..., None]).flatten(2)
        return torch.cat([self.first(plain), phases.sin(), phases.cos()], -1)
