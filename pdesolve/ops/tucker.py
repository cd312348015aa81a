"""Tensors in Tucker form: a small core multiplied by one factor matrix per axis."""

from collections.abc import Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor


def ranks(shape: Sequence[int], fraction: float) -> tuple[int, ...]:
    """Ranks with which a Tucker tensor has about `fraction` of the dense tensor's entries.

    All ranks are the same share c of their axis,

        c^N Π n_j + c Σ n_j² = fraction Π n_j,      r_j = max(1, round(c n_j))

    Args:
        shape: sizes n_j of the dense tensor.
        fraction: > 0. Good values 0.01 to 0.5; 1 gives slightly more entries than the dense tensor.

    Raises:
        ValueError: fraction is not positive.

    Source: tensorly's `validate_tucker_rank`, which is called.

    >>> ranks((32, 32, 16, 9), 0.05)
    (15, 15, 7, 4)
    """
    if not fraction > 0:
        raise ValueError(f"rank fraction is {fraction}, expected > 0: choose one such as 0.1")
    # Imported here: it costs half as much as torch, and dense models do without it.
    from tensorly.tucker_tensor import validate_tucker_rank

    found = validate_tucker_rank(tuple(shape), rank=float(fraction))  # pyright: ignore
    return tuple(int(r) for r in found)


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
