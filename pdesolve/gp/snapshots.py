"""What the data of a problem show along each axis: random mixtures of the source and the traces."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .problem import Problem

# Mixtures of the source; one would cancel lines by chance.
_MIXTURES = 6
# A source below this share of what the boundary data would give is the rounding of zero.
_ZERO = 1e-12
_BLOCK = 2**15


def snapshots(problem: Problem) -> list[Float[Tensor, "n q"]]:
    """Return for each axis the data along it, each part divided by its norm.

    A part that is zero is left out; q may be 0.
    """
    if len(problem.axes) == 1:
        return [problem.source(problem.nodes)[:, None]]
    traces: list[list[Tensor]] = [[] for _ in problem.axes]
    largest = 0.0
    for functional in problem.functionals:
        data = functional.data(problem.nodes)
        largest = max(largest, float(data.abs().max()))
        others = [j for j in range(len(problem.axes)) if j != functional.axis]
        for place, j in enumerate(others):
            columns = data.movedim(place, 0).flatten(1) if data.ndim > 1 else data[:, None]
            traces[j].append(_mixed(columns))
    mixtures, size = _source_mixtures(problem)
    scale = max(
        abs(c)
        * math.prod((2 * math.pi / a.length) ** n for a, n in zip(problem.axes, o, strict=True))
        for o, c in problem.symbol.items()
    )
    parts = traces
    if size > _ZERO * scale * largest:
        parts = [[m, *t] for m, t in zip(mixtures, traces, strict=True)]
    return [
        torch.cat(
            [p / p.norm() for p in some if float(p.norm()) > 0] or [axis.nodes[:, None][:, :0]], 1
        )
        for some, axis in zip(parts, problem.axes, strict=True)
    ]


def _source_mixtures(problem: Problem) -> tuple[list[Tensor], float]:
    """Return for each axis the source contracted with random fields of the others; its maximum."""
    nodes = problem.nodes
    shape = [len(x) for x in nodes]
    fields = [_random(shape[:j] + shape[j + 1 :], nodes[0]) for j in range(len(shape))]
    totals = [x.new_zeros(len(x), _MIXTURES) for x in nodes]
    size = 0.0
    rows = max(1, _BLOCK // math.prod(shape[1:]))
    for first in range(0, shape[0], rows):
        block = slice(first, first + rows)
        source = problem.source([nodes[0][block], *nodes[1:]])
        size = max(size, float(source.abs().max()))
        for j in range(len(shape)):
            columns = source.movedim(j, 0).flatten(1)
            if j == 0:
                totals[0][block] = columns @ fields[0]
            else:
                within = fields[j].reshape(shape[0], -1, _MIXTURES)[block]
                totals[j] += columns @ within.flatten(0, 1)
    return totals, size


def _mixed(columns: Tensor) -> Tensor:
    if columns.shape[1] <= _MIXTURES:
        return columns
    return columns @ _random([columns.shape[1]], columns)


def _random(shape: Sequence[int], like: Tensor) -> Tensor:
    """Return fixed Gaussian numbers (Π shape, mixtures)."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(math.prod(shape), _MIXTURES, generator=generator, dtype=torch.float64)
    return draws.to(like.device)
