"""Attention inside windows of a plane of tokens, by cosines and a continuous position bias."""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Pair = tuple[int, int]

# Cosines are multiplied by at most this.
LARGEST_LOGIT_SCALE = 100.0
INITIAL_LOGIT_SCALE = 10.0
# Offsets are stretched to ±8 before the logarithm; the bias lies between 0 and 16.
OFFSET_RANGE = 8.0
BIAS_RANGE = 16.0
BIAS_HIDDEN = 512
# What is added between regions that are no neighbours. Cosine logits span 216, so that a smaller
# number could let one through; the published network adds -100 twice.
FOREIGN = -200.0

# What the bias of a window was computed from, and the bias.
Cached = tuple[list[tuple], Tensor]


class CosineWindowAttention(nn.Module):
    """Self-attention of the tokens of each window, windows apart.

        y_i = Σ_j softmax_j( s cos(q_i, k_j) + 16 sigmoid(b(i - j)) ) v_j,   s = min(e^θ, 100)

    with q = W_q x + c_q, k = W_k x, v = W_v x + c_v, one θ a head and one network b(dy, dx) on
    logarithmic offsets. A plane that is no multiple of the window is padded with zero tokens,
    which take part. An axis no longer than the window is one window and is not shifted.

    Args:
        width: channels of a token.
        heads: of width // heads channels each.
        window: tokens a side of a window.
        shift: tokens by which the windows are displaced, cyclically; tokens that the wrap brings
            together do not see each other.

    Raises:
        ValueError: width is not a multiple of heads.

    Source: Liu et al. 2022, Swin Transformer V2, arXiv:2111.09883, sections 3.2 and 3.3.
    """

    def __init__(self, width: int, heads: int, window: int, shift: int = 0):
        super().__init__()
        if width % heads:
            raise ValueError(
                f"width {width} is not a multiple of heads {heads}: choose a width such as "
                f"{heads * (width // heads + 1)}"
            )
        self.heads, self.window, self.shift = heads, window, shift
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(INITIAL_LOGIT_SCALE)))
        self.continuous_position_bias_mlp = nn.Sequential(
            OrderedDict(
                [
                    ("0", nn.Linear(2, BIAS_HIDDEN)),
                    ("1", nn.ReLU()),
                    ("2", nn.Linear(BIAS_HIDDEN, heads, bias=False)),
                ]
            )
        )
        self._cached: Cached | None = None

    def forward(self, x: Float[Tensor, "b n m c"]) -> Float[Tensor, "b n m c"]:
        """Tokens after attention."""
        plane = (x.shape[1], x.shape[2])
        window = (min(self.window, plane[0]), min(self.window, plane[1]))
        shift = tuple(self.shift if n > w else 0 for n, w in zip(plane, window, strict=True))
        padded = F.pad(x, (0, 0, 0, -plane[1] % window[1], 0, -plane[0] % window[0]))
        rolled = torch.roll(padded, (-shift[0], -shift[1]), (1, 2)) if any(shift) else padded
        tokens = _windows(rolled, window)
        q, k, v = (self._by_head(part(tokens)) for part in (self.query, self.key, self.value))
        scale = self.logit_scale.clamp(max=math.log(LARGEST_LOGIT_SCALE)).exp()
        bias = self._bias(window, x)[None]
        if any(shift):
            regions = _region_mask((rolled.shape[1], rolled.shape[2]), window, shift, like=bias)
            # In an exported program len(x) would be a constant.
            bias = (bias + regions[:, None]).repeat(x.shape[0], 1, 1, 1)
        y = F.scaled_dot_product_attention(
            F.normalize(q, dim=-1) * scale, F.normalize(k, dim=-1), v, attn_mask=bias, scale=1.0
        )
        # Attention leaves the heads where joining them is a view; in an exported file it may not.
        exporting = torch.compiler.is_exporting()
        y = torch.cat(y.unbind(1), -1) if exporting else y.transpose(1, 2).flatten(2)
        y = _plane(y, window, (rolled.shape[1], rolled.shape[2]))
        y = torch.roll(y, shift, (1, 2)) if any(shift) else y
        return y[:, : plane[0], : plane[1]]

    def _by_head(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _bias(self, window: Pair, x: Tensor) -> Tensor:
        """Bias (heads, n, n) of a window of n tokens; kept while nothing asks for gradients."""
        parameters = tuple(self.continuous_position_bias_mlp.parameters())
        if (
            self.training
            or torch.is_grad_enabled()
            or torch.compiler.is_compiling()
            or any(p.is_inference() for p in parameters)
        ):
            return self._computed_bias(window, x.dtype)
        # In-place changes raise the version; a move replaces what is behind the parameter.
        origin = [(window, x.dtype), *((id(p), p._version, p.dtype, p.device) for p in parameters)]
        if self._cached is None or self._cached[0] != origin:
            self._cached = origin, self._computed_bias(window, x.dtype)
        return self._cached[1]

    def _computed_bias(self, window: Pair, dtype: torch.dtype) -> Tensor:
        weight = self.logit_scale
        axes = [_offsets(w, dtype=weight.dtype, device=weight.device) for w in window]
        offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        table = self.continuous_position_bias_mlp(offsets).permute(2, 0, 1)
        # Entry (i, j) is the table at i - j: a sliding view along i, reversed along j.
        pairs = table.unfold(1, window[0], 1).unfold(2, window[1], 1).flip(3, 4)
        tokens = window[0] * window[1]
        bias = BIAS_RANGE * torch.sigmoid(pairs.reshape(self.heads, tokens, tokens))
        return bias.to(dtype)


def _offsets(window: int, **options) -> Tensor:
    """Offsets 1 - w ... w - 1 on a logarithmic scale, ±1 at the window's side less a little."""
    offsets = torch.arange(1 - window, window, **options)
    # A window of one token has only the offset 0.
    stretched = OFFSET_RANGE * offsets / max(window - 1, 1)
    return torch.sign(stretched) * torch.log2(1 + stretched.abs()) / math.log2(OFFSET_RANGE)


def _windows(x: Tensor, window: Pair) -> Tensor:
    """Tokens (b, n, m, c) as (b * windows, tokens, c), windows row by row."""
    b, n, m, c = x.shape
    x = x.reshape(b, n // window[0], window[0], m // window[1], window[1], c)
    return x.transpose(2, 3).reshape(-1, window[0] * window[1], c)


def _plane(tokens: Tensor, window: Pair, plane: Pair) -> Tensor:
    """The way back from `_windows`."""
    rows, columns = plane[0] // window[0], plane[1] // window[1]
    x = tokens.reshape(-1, rows, columns, *window, tokens.shape[-1])
    return x.transpose(2, 3).reshape(-1, *plane, tokens.shape[-1])


def _region_mask(plane: Pair, window: Pair, shift: tuple[int, ...], *, like: Tensor) -> Tensor:
    """0 between tokens of a window that are neighbours on the plane, else FOREIGN: (w, n, n)."""
    axes = []
    for n, w, s in zip(plane, window, shift, strict=True):
        position = torch.arange(n, device=like.device)
        # Behind the roll the last s tokens come from the other end.
        axes.append((position >= n - w).long() + (position >= n - s).long() if s else position * 0)
    label = 3 * axes[0][:, None] + axes[1]
    label = _windows(label[None, :, :, None], window).squeeze(-1)
    return torch.where(label[:, :, None] == label[:, None, :], 0.0, FOREIGN).to(like.dtype)
