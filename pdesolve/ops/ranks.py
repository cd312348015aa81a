"""How many ranks a factorised tensor has: from a share of the dense entries, or as given.

All counts come from tensorly, so models of published papers get their published ranks. Where the
first axis is one of layers that share the other factors ("joint"), that axis keeps its full rank
when ranks come from a share: rounded like the others it would soon be 1, and all layers the same
tensor but for a number.
"""

import math
import warnings
from collections.abc import Sequence


def tucker_ranks(
    shape: Sequence[int], rank: float | Sequence[int], *, joint: bool = False
) -> tuple[int, ...]:
    """Ranks of a Tucker tensor, one for each axis; from a share ρ they are the same part c of each,

        c^N Π n_j + c Σ n_j² = ρ Π n_j,      r_j = max(1, round(c n_j))

    Args:
        shape: sizes n_j of the dense tensor.
        rank: share ρ > 0 of the dense entries, good values 0.01 to 0.5 (1 gives slightly more
            entries than the dense tensor); or the ranks themselves.
        joint: keep the first axis at full rank if a share is given.

    Raises:
        ValueError: the share is not positive, or ranks do not fit the shape.

    Source: tensorly's `validate_tucker_rank`, which is called.

    >>> tucker_ranks((32, 32, 16, 9), 0.05)
    (15, 15, 7, 4)
    """
    if not isinstance(rank, float):
        return _checked(rank, shape, shape)
    _check_share(rank)
    # Imported here: it costs half as much as torch, and dense models do without it.
    from tensorly.tucker_tensor import validate_tucker_rank

    fixed = [0] if joint else None
    found = validate_tucker_rank(tuple(shape), rank=rank, fixed_modes=fixed)  # pyright: ignore
    return tuple(int(r) for r in found)


def cp_rank(shape: Sequence[int], rank: float | Sequence[int]) -> int:
    """Number of rank one tensors in a CP tensor; from a share ρ it is round(ρ Π n_j / Σ n_j).

    Raises:
        ValueError: the share is not positive, or rank is not a single number >= 1.

    Source: tensorly's `validate_cp_rank`, which is called.

    >>> cp_rank((32, 32, 16, 9), 0.05)
    83
    """
    if not isinstance(rank, float):
        return _checked(rank, shape, (math.prod(shape),))[0]
    _check_share(rank)
    from tensorly.cp_tensor import validate_cp_rank

    return max(1, int(validate_cp_rank(tuple(shape), rank=rank)))  # pyright: ignore


def tt_ranks(
    shape: Sequence[int], rank: float | Sequence[int], *, joint: bool = False
) -> tuple[int, ...]:
    """Ranks between neighbouring axes of a tensor train, without the ones at the ends.

    Raises:
        ValueError: the share is not positive, or ranks do not fit the shape.

    Source: tensorly's `validate_tt_rank`, which is called.

    >>> tt_ranks((32, 32, 16, 9), 0.05)
    (15, 12, 6)
    """
    if not isinstance(rank, float):
        bounds = [math.prod(shape)] * (len(shape) - 1)
        return _checked(rank, shape, bounds)
    _check_share(rank)
    from tensorly.tt_tensor import validate_tt_rank

    with warnings.catch_warnings():
        # It warns of matrices, which separable layers of one axis are.
        warnings.simplefilter("ignore")
        found = [int(r) for r in validate_tt_rank(tuple(shape), rank=rank)[1:-1]]  # pyright: ignore
    return (shape[0], *found[1:]) if joint else tuple(found)


def _check_share(rank: float) -> None:
    if not rank > 0:
        raise ValueError(f"rank is the share {rank}, expected > 0: choose one such as 0.1")


def _checked(
    rank: float | Sequence[int], shape: Sequence[int], bounds: Sequence[int]
) -> tuple[int, ...]:
    if not isinstance(rank, Sequence):
        raise ValueError(
            f"rank is the whole number {rank}, expected None (dense), a float share such as 0.1, "
            f"or {len(bounds)} ranks for the sizes {tuple(shape)}: write {rank}.0 if a share was "
            f"meant"
        )
    fits = len(rank) == len(bounds) and all(
        isinstance(r, int) and 1 <= r <= n for r, n in zip(rank, bounds, strict=True)
    )
    if not fits:
        raise ValueError(
            f"rank is {tuple(rank)}, expected {len(bounds)} whole numbers for the sizes "
            f"{tuple(shape)}, each between 1 and {tuple(bounds)}"
        )
    return tuple(rank)
