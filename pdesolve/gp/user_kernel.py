"""A solve with kernels that the user gives: their features, or sections that span what is observed.

In one dimension the result is the posterior mean of the kernel itself. On grids of more axes it is
the interpolant of GP-HM, k(x, X) K⁻¹ U along each axis, U from the equation at the nodes: exact
for kernels of cosines, the more accurate the smoother the others are.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

from .attempt import Attempt
from .covariance import features_of, observations_of
from .kernels.spectral import RESOLVED, WaveKernel
from .many_dimensions import solved_with
from .one_dimension import Solver
from .priors import Prior
from .problem import Problem
from .tensor_basis import OrthonormalBasis

_CUTOFFS = (1e-14, 1e-12, 1e-10, 1e-8)


def solve_with_kernel(
    problem: Problem, kernel: Any | Sequence[Any]
) -> tuple[Attempt, list[Attempt], float]:
    """Return the best solution, all that were tried, and the accuracy that the kernel allows.

    Args:
        problem: what is solved.
        kernel: one of `gp.kernels` or a stock gpytorch kernel that has an equal there; one for all
            axes, or one for each.

    Raises:
        ValueError: their number is wrong, a kernel is unknown, too rough or not periodic.
    """
    axes = problem.axes
    kernels = _of_each_axis(problem, kernel)
    if len(kernels) != len(axes):
        raise ValueError(
            f"kernel has {len(kernels)} entries on a grid of {len(axes)} axes, expected one kernel "
            "or one for each axis"
        )
    observed = observations_of(problem) if len(axes) == 1 else None
    found = [features_of(k, a, observed) for k, a in zip(kernels, axes, strict=True)]
    accuracy = max(figure for _, figure in found)
    if len(axes) == 1:
        solver = Solver(problem, Prior("kernel", found[0][0], ()))
        tried = [solver(cutoff) for cutoff in _CUTOFFS]
    else:
        bases = [
            OrthonormalBasis.of(features, axis)
            for (features, _), axis in zip(found, axes, strict=True)
        ]
        tried = [solved_with(problem, "kernel", bases)]
    return min(tried, key=lambda attempt: attempt.score), tried, accuracy


def above_nyquist(problem: Problem, kernel: Any | Sequence[Any]) -> str:
    """Return which kernel has waves that its axis takes for longer ones, "" if none has."""
    pairs = zip(_of_each_axis(problem, kernel), problem.axes, strict=False)
    for j, (own, axis) in enumerate(pairs):
        parts = own.modules() if isinstance(own, torch.nn.Module) else []
        tops = [float(p.frequencies.detach().abs().max()) for p in parts
                if isinstance(p, WaveKernel)]  # fmt: skip
        if tops and max(tops) > axis.nyquist:
            return (
                f"the kernel of axis {j} has frequencies up to {max(tops):.4g}, more than the "
                f"Nyquist frequency {axis.nyquist:.4g} of its nodes, which take them for lower "
                f"ones: give the kernel nyquist={axis.nyquist:.4g}, or refine the axis to "
                f"{math.ceil(2 * max(tops) * axis.length / RESOLVED) + 1} points"
            )
    return ""


def _of_each_axis(problem: Problem, kernel: Any | Sequence[Any]) -> list[Any]:
    return list(kernel) if isinstance(kernel, list | tuple) else [kernel] * len(problem.axes)
