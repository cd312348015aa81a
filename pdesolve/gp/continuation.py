"""A nonlinear problem from the one whose solution is zero, its data turned on bit by bit.

    R(u) - (1 - s) R(0) = 0,    B u = s g,      s from 0 to 1

Each problem is solved from the solution of the last one. A path that turns back before s = 1 is not
followed, and the problem counts as not solved.
"""

from collections.abc import Callable

from torch import Tensor

_FIRST, _SMALLEST = 0.25, 1 / 128


def continued(solve: Callable[[float, Tensor], tuple[Tensor, bool]], zero: Tensor) -> Tensor | None:
    """Return the solution of a problem at s = 1, None if the steps became too small.

    Args:
        solve: from s and a start to a solution and whether it is one.
        zero: the solution at s = 0.
    """
    point, share, step = zero, 0.0, _FIRST
    while share < 1 and step >= _SMALLEST:
        trial = min(share + step, 1.0)
        new, arrived = solve(trial, point)
        if arrived:
            share, point, step = trial, new, 2 * step
        else:
            step /= 2
    return point if share == 1 else None
