"""Latent spectral block: each patch of a field is summed up in tokens, which solve and answer."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Deviation of tokens that start apart from each other, common for learned queries.
TOKEN_DEVIATION = 0.02


class NeuralSpectralBlock(nn.Module):
    """Attention from a few learned tokens to the points of a patch, a series, and back.

    In each patch, with points x_s, heads of e = width / heads channels, K, V, Q affine in x:

        X_t = T_t + Σ_s softmax_s(T_t · K_s) V_s                                      encode
        Y_t = X_t + Σ_m [w_m sin(π m X_t / N) + w_{N+m} cos(π m X_t / N)]             solve
        y_s = x_s + Σ_t softmax_t(Q_s · Y_t) Y_t                                      decode

    m = 0 ... N - 1; the series acts on each number of X with weights of its channel. The patch
    owns no weights: it is given with the field.

    Args:
        width: channels c.
        tokens: T_t, shared by all patches and samples.
        basis: N, sines and as many cosines.
        heads: of the attention; divides the width.
        drop_dead_sine: leave out the weights of sin 0, which never learn. The published block
            holds them.
        spread_tokens: T ~ N(0, 0.02²) and scores over √e, as usual in attention; the published
            block draws T from U(0, 1) / c, nearly the same for all tokens, and has no scale.

    Raises:
        ValueError: heads that do not divide the width.

    Source: Wu et al. 2023, arXiv 2301.12664, section 3.2, as its code has it: frequencies m / N
    where the paper has integers.
    """

    def __init__(
        self,
        width: int,
        *,
        tokens: int = 4,
        basis: int = 12,
        heads: int = 8,
        drop_dead_sine: bool = False,
        spread_tokens: bool = False,
    ):
        super().__init__()
        if width % heads:
            raise ValueError(
                f"width {width} is not a multiple of heads {heads}: choose a width such as "
                f"{heads * max(1, round(width / heads))}"
            )
        channels = width // heads
        self.width, self.heads, self.basis = width, heads, basis
        self.first_sine = int(drop_dead_sine)
        self.scale = channels**-0.5 if spread_tokens else 1.0
        tokens_at_start = torch.rand(heads, tokens, channels) / width
        if spread_tokens:
            tokens_at_start = TOKEN_DEVIATION * torch.randn(heads, tokens, channels)
        self.tokens = nn.Parameter(tokens_at_start)
        self.series = nn.Parameter(torch.rand(width, 2 * basis - self.first_sine) / width)
        # Rows: keys, values, queries, each head after head.
        self.projection = nn.Linear(width, 3 * width)

    def forward(
        self, x: Float[Tensor, "b c *grid"], patch: Sequence[int]
    ) -> Float[Tensor, "b c *grid"]:
        """Return the field, patch by patch changed.

        Args:
            x: field.
            patch: points per axis of a patch, which divide those of the grid.
        """
        s = _patches(x, patch)
        keys, values, queries = self.projection(s).unflatten(-1, (3, self.heads, -1)).unbind(2)
        scores = torch.einsum("htc,blhc->bhtl", self.tokens * self.scale, keys)
        encoded = self.tokens + torch.einsum("bhtl,blhc->bhtc", scores.softmax(-1), values)
        solved = encoded + self._series(encoded)
        scores = torch.einsum("blhc,bhtc->blht", queries * self.scale, solved)
        decoded = torch.einsum("blht,bhtc->blhc", scores.softmax(-1), solved)
        return _field(s + decoded.flatten(2), x.shape, patch)

    def _series(self, x: Float[Tensor, "b h t e"]) -> Float[Tensor, "b h t e"]:
        # Numbers of a channel side by side: one product of matrices per channel then sums the
        # waves, in half the time of a sum over a last axis.
        channels = x.permute(1, 3, 0, 2)
        m = torch.arange(self.basis, dtype=x.dtype, device=x.device) * (math.pi / self.basis)
        phases = m[:, None] * channels.reshape(self.width, 1, -1)
        sines, cosines = self.series[:, None].split([self.basis - self.first_sine, self.basis], -1)
        y = torch.bmm(sines, phases[:, self.first_sine :].sin()) + torch.bmm(cosines, phases.cos())
        return y.reshape(channels.shape).permute(2, 0, 3, 1)


def _patches(x: Tensor, patch: Sequence[int]) -> Tensor:
    """Points of each patch, shape (b * patches, points, c)."""
    dims = len(patch)
    for axis, size in enumerate(patch):
        x = x.unflatten(2 + 2 * axis, (-1, size))
    blocks, inside = range(2, 2 + 2 * dims, 2), range(3, 3 + 2 * dims, 2)
    return x.permute(0, *blocks, *inside, 1).flatten(1 + dims, 2 * dims).flatten(0, dims)


def _field(s: Tensor, shape: Sequence[int], patch: Sequence[int]) -> Tensor:
    """The way back from `_patches`."""
    batch, channels, *grid = shape
    dims = len(patch)
    counts = [n // size for n, size in zip(grid, patch, strict=True)]
    x = s.reshape(batch, *counts, *patch, channels)
    order = [axis for j in range(dims) for axis in (1 + j, 1 + dims + j)]
    return x.permute(0, 1 + 2 * dims, *order).reshape(shape)
