"""Tensors in Tucker form: a small core multiplied by one factor matrix per axis."""

from collections.abc import Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor


def component_std(std: float, ranks: Sequence[int]) -> float:
    """Standard deviation for core and factors so that the reconstructed entries have `std`.

        s = (std / √Π r_j)^(1 / (N + 1)),      N = number of axes

    since an entry is a sum of Π r_j products of N + 1 independent numbers.
    """
    terms = torch.Size(ranks).numel()
    return (std / terms**0.5) ** (1 / (len(ranks) + 1))


def expand(core: Shaped[Tensor, "..."], factors: Sequence[Tensor]) -> Shaped[Tensor, "..."]:
    """Multiply the first axes of a core by factors: (r_1, ..., *rest) to (n_1, ..., *rest).

        W[i, j, ..., *rest] = Σ_ab... core[a, b, ..., *rest] U_1[i, a] U_2[j, b] ...

    With a factor for every axis this is the dense tensor. Factors are applied in order, so the
    cheapest order has the axis of smallest rank last.

    Args:
        core: real or complex, at least as many axes as factors.
        factors: matrices (n_j, r_j), dtype of the core.
    """
    for axis, factor in enumerate(factors):
        before, after = core.shape[:axis], core.shape[axis + 1 :]
        # Each step is one batched matrix product whose result is contiguous: no permuted copies.
        core = factor @ core.reshape(*before, factor.shape[1], -1)
        core = core.reshape(*before, factor.shape[0], *after)
    return core
