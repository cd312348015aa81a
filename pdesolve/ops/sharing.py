"""Rows of a tensor divided among processes that hold the same data, and gathered again."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def share(rows: int, group: dist.ProcessGroup | None) -> range:
    """Return the rows of this process: equal parts, in the order of the ranks; None is all rows.

    Raises:
        ValueError: the processes cannot have equal parts.
    """
    if group is None:
        return range(rows)
    world, rank = dist.get_world_size(group), dist.get_rank(group)
    if rows % world:
        raise ValueError(
            f"{rows} rows cannot be shared by {world} processes, expected a multiple: take a "
            f"number of processes that divides the rows of each batch"
        )
    return range(rank * rows // world, (rank + 1) * rows // world)


def gather(
    mine: Float[Tensor, "rows ..."], group: dist.ProcessGroup | None
) -> Float[Tensor, "all_rows ..."]:
    """Return the rows of all processes, in the order of `share`.

    Each process has the whole result and is to compute the same number from it. The gradient then
    flows to its own rows only: the sum of the processes' gradients is that of one process.
    """
    return mine if group is None else _Gather.apply(mine, group)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, mine: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.first, ctx.rows = dist.get_rank(group) * len(mine), len(mine)
        mine = mine.contiguous()
        parts = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, mine, group=group)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.narrow(0, ctx.first, ctx.rows), None
