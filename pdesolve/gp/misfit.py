"""How far a function is from solving a problem, between the nodes and on the boundary."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .boundary import Functional
from .problem import Problem
from .slabs import Solved

# Keeps a problem whose data are all zero from dividing by them.
_TINY = 1e-300
# Rows of nodes that are looked at for the size of a solution.
_LOOKED_AT = 50


def misfits(
    problem: Problem, expansion: Solved, points: Sequence[Tensor] | None = None
) -> tuple[float, float]:
    """Return the relative residual at the midpoints and the relative misfit of the boundary data.

    The residual is ‖R‖ over all midpoints, relative to the source or to the largest single term of
    the linearised equation, whichever is larger. The misfit is the largest one at the midpoints of
    a face, relative to the largest |u| (times the angular frequency for each derivative).

    Args:
        problem: what is solved.
        expansion: its solution.
        points: increasing positions of each axis in place of the midpoints.
    """
    jet = problem.jet
    points = [axis.midpoints for axis in problem.axes] if points is None else points
    squared = source = 0.0
    terms = torch.zeros(len(jet.orders), dtype=torch.float64, device=problem.device)
    for _, block, derivatives in expansion.blocks(points, jet.orders):
        known = problem.known(block)
        squared += float(jet.value(derivatives, known).square().sum())
        source += float(jet.value(torch.zeros_like(derivatives), known).square().sum())
        weighted = jet.linearised(derivatives, known).mul_(derivatives)
        terms += weighted.square_().flatten(1).sum(1)
    largest = math.sqrt(max(source, float(terms.max()), _TINY))
    size = max(_size(problem, expansion), _TINY)
    worst = max(
        (_trace_misfit(f, problem, expansion, points) for f in problem.functionals), default=0.0
    )
    return math.sqrt(squared) / largest, worst / size


def _size(problem: Problem, expansion: Solved) -> float:
    first, *others = problem.nodes
    points = [first[:: max(1, len(first) // _LOOKED_AT)], *others]
    blocks = expansion.blocks(points, [(0,) * len(points)])
    return max(float(values.abs().max()) for _, _, values in blocks)


def _trace_misfit(
    functional: Functional, problem: Problem, expansion: Solved, points: Sequence[Tensor]
) -> float:
    j = functional.axis
    at = list(points)
    at[j] = points[j].new_tensor([functional.position])
    value = torch.zeros((), dtype=torch.float64, device=problem.device)
    for order, c in functional.terms.items():
        orders = [order if i == j else 0 for i in range(len(points))]
        value = value + c * expansion(at, orders).squeeze(j)
    top = max(expansion.bases[j].top, 1.0)
    return float((value - functional.data(points)).abs().max()) / top**functional.order
