"""A level of a window transformer for planes of tokens, whose norms know a condition."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .window_attention import CosineWindowAttention

Plane = tuple[int, int]

EPSILON = 1e-5


class _Dense(nn.Sequential):
    """A linear map under the name `dense`."""

    def __init__(self, width: int, out: int):
        super().__init__(OrderedDict(dense=nn.Linear(width, out)))


class ConditionalNorm(nn.Module):
    """Standardise the channels of a token; scale and shift are affine in the condition."""

    def __init__(self, width: int, condition_dim: int):
        super().__init__()
        self.condition_dim = condition_dim
        if condition_dim:
            self.weight, self.bias = (nn.Linear(condition_dim, width) for _ in range(2))
        else:
            self.weight, self.bias = (nn.Parameter(torch.full((width,), c)) for c in (1.0, 0.0))

    def forward(self, v: Tensor, t: Tensor | None) -> Tensor:
        if not isinstance(self.weight, nn.Linear) or not isinstance(self.bias, nn.Linear):
            return F.layer_norm(v, v.shape[-1:], self.weight, self.bias, EPSILON)  # pyright: ignore
        scale, shift = (linear(t)[:, None, None] for linear in (self.weight, self.bias))
        return torch.addcmul(shift, scale, F.layer_norm(v, v.shape[-1:], eps=EPSILON))


class SwinBlock(nn.Module):
    """v + norm(attention(v)), then v + norm(network(v)).

    The published names say before and after; both norms come behind what they belong to.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        window: int,
        shift: int,
        mlp_ratio: float,
        condition_dim: int,
        drop: float,
    ):
        super().__init__()
        attention = CosineWindowAttention(width, heads, window, shift)
        hidden = int(width * mlp_ratio)
        named: OrderedDict[str, nn.Module] = OrderedDict()
        named["self"], named["output"] = attention, _Dense(width, width)
        self.attention = nn.Sequential(named)
        self.layernorm_before = ConditionalNorm(width, condition_dim)
        self.intermediate, self.output = _Dense(width, hidden), _Dense(hidden, width)
        self.layernorm_after = ConditionalNorm(width, condition_dim)
        self.drop = drop

    def forward(self, v: Tensor, t: Tensor | None) -> Tensor:
        v = v + self._kept(self.layernorm_before(self.attention(v), t))
        network = self.output(F.gelu(self.intermediate(v)))
        return v + self._kept(self.layernorm_after(network, t))

    def _kept(self, branch: Tensor) -> Tensor:
        """Leave the branch out of some samples, and weigh it more in the others."""
        if not self.training or self.drop == 0:
            return branch
        stays = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= self.drop
        return branch * (stays / (1 - self.drop)).to(branch.dtype)


class SwinStage(nn.Module):
    """Blocks of one level and the way to the next."""

    def __init__(
        self,
        width: int,
        heads: int,
        rates: Sequence[float],
        *,
        window: int,
        mlp_ratio: float,
        condition_dim: int,
        decoder: bool,
        last: bool,
    ):
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(
                width,
                heads,
                window=window,
                # The encoder starts unshifted. The published decoder was built from its last block
                # to its first one, and so, with an even number of them, starts shifted.
                shift=window // 2 if _is_shifted(j, len(rates), decoder=decoder) else 0,
                mlp_ratio=mlp_ratio,
                condition_dim=condition_dim,
                drop=rate,
            )
            for j, rate in enumerate(rates)
        )
        self.downsample = None if decoder or last else Merging(width, condition_dim)
        self.upsample = Expansion(width, condition_dim) if decoder and not last else None


def _is_shifted(block: int, blocks: int, *, decoder: bool) -> bool:
    return (blocks - 1 - block if decoder else block) % 2 == 1


class Merging(nn.Module):
    """One token of twice the channels for four neighbours; zeros complete an odd plane."""

    def __init__(self, width: int, condition_dim: int):
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = ConditionalNorm(2 * width, condition_dim)

    def forward(self, v: Tensor, t: Tensor | None) -> Tensor:
        v = F.pad(v, (0, 0, 0, v.shape[2] % 2, 0, v.shape[1] % 2))
        parts = [v[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.norm(self.reduction(torch.cat(parts, -1)), t)


class Expansion(nn.Module):
    """Four tokens of half the channels for each one."""

    def __init__(self, width: int, condition_dim: int):
        super().__init__()
        self.upsample = nn.Linear(width, 2 * width, bias=False)
        self.mixup = nn.Linear(width // 2, width // 2, bias=False)
        self.norm = ConditionalNorm(width // 2, condition_dim)

    def forward(self, v: Tensor, t: Tensor | None, plane: Plane) -> Tensor:
        b, n, m, c = v.shape
        v = self.upsample(v).reshape(b, n, m, 2, 2, c // 2).transpose(2, 3)
        v = v.reshape(b, 2 * n, 2 * m, c // 2)[:, : plane[0], : plane[1]]
        return self.mixup(self.norm(v, t))
