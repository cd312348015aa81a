"""Features of a band-limited prior: cosines and sines on a comb of frequencies.

    u(x) = Σ_k w_k (a_k cos 2πs_k(x - m) + b_k sin 2πs_k(x - m)),      a_k, b_k ~ N(0, 1)

has the kernel Σ_k w_k² cos 2πs_k(x - x'). With teeth closer than 1/(2L) it is, on an interval of
length L, the kernel whose spectral density is flat on the bands that the teeth fill.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Bands = tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Features:
    """The features of one axis.

    Args:
        frequencies: s_k >= 0 (k,), cycles per length.
        centre: m, the middle of the interval.
        weights: w_k (k,); None is one for each.
    """

    frequencies: Float[Tensor, " k"]
    centre: float
    weights: Float[Tensor, " k"] | None = None

    def __call__(self, x: Float[Tensor, " n"], order: int = 0) -> Float[Tensor, "n columns"]:
        """Return the order-th derivative of every feature at x: cosines, then sines.

        Exact for any order: (2πs)^order times the feature turned by so many quarters. A frequency
        of zero has no sine.
        """
        turns = 2 * math.pi * self.frequencies
        angle = turns * (x - self.centre)[:, None]
        size = turns**order if self.weights is None else self.weights * turns**order
        cosine, sine = angle.cos(), angle.sin()
        pair = [(cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine)][order % 4]
        oscillating = self.frequencies > 0
        return torch.cat([pair[0] * size, (pair[1] * size)[:, oscillating]], dim=1)

    @property
    def top(self) -> float:
        """Angular frequency of the highest tooth."""
        return 2 * math.pi * float(self.frequencies.max())


def merged(bands: Bands) -> Bands:
    """Return the union of bands as disjoint ones in increasing order.

    >>> merged(((0.0, 2.0), (5.0, 6.0), (1.0, 3.0)))
    ((0.0, 3.0), (5.0, 6.0))
    """
    result: list[tuple[float, float]] = []
    for low, high in sorted(bands):
        if result and low <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], high))
        else:
            result.append((low, high))
    return tuple(result)


def comb(bands: Bands, step: float, *, device: torch.device | None = None) -> Float[Tensor, " k"]:
    """Return the teeth k·step that fill the bands, the first and last one just outside each.

    All are multiples of one step, so bands that overlap share their teeth.

    >>> comb(((0.0, 2.5),), 1.0).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    teeth: set[int] = set()
    for low, high in bands:
        # The slack keeps an edge that is a tooth but for rounding from adding another.
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        teeth.update(range(max(first, 0), last + 1))
    return step * torch.tensor(sorted(teeth), dtype=torch.float64, device=device)
