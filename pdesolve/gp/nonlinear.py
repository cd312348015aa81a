"""The core of a Kronecker system by damped Newton steps; a linear one takes one and refinements."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ..ops.gmres import gmres
from .kronecker_form import KroneckerForm

_STEPS, _SMALLEST_DAMPING = 25, 1 / 32
# A Newton iteration that has not brought its residual below this after so many steps is given up.
_HOPELESS, _PATIENCE = 0.3, 5
# Below this share of the start a residual that does not halve any more is rounding.
_ROUNDING = 1e-8
_REFINEMENTS = 3
_ROUGH, _FINE, _EXACT = 1e-3, 1e-5, 1e-10


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an iteration reached.

    Args:
        core: coefficients of the solution.
        reduction: of the tested residual, relative to the start.
        steps: Newton steps or refinements taken.
    """

    core: Float[Tensor, "*r"]
    reduction: float
    steps: int


def solve_separable(form: KroneckerForm) -> Outcome:
    """Solve a linear equation with constant coefficients and without mixed derivatives."""
    operator, shift = form.separable(form.problem.symbol)
    free = form.start()
    residual = form.residual(form.lifted)
    start = size = float(residual.norm())
    for step in range(1 + _REFINEMENTS):
        trial = free - form.precondition(residual, operator, shift)
        trial_residual = form.residual(form.core(trial))
        trial_size = float(trial_residual.norm())
        if step and not trial_size < size:
            break
        halved = trial_size < size / 2
        free, residual, size = trial, trial_residual, trial_size
        if step and not halved:
            break
    return Outcome(form.core(free), size / max(start, 1e-300), step + 1)


def solve_newton(form: KroneckerForm) -> Outcome:
    """Solve any equation by Newton steps from zero, each by GMRES on the exact linearisation."""
    free = form.start()
    linear = form.problem.linear
    residual = form.residual(form.core(free))
    first = size = float(residual.norm())
    step = 0
    for step in range(1, _STEPS + 1):
        if size == 0 or not math.isfinite(size):
            break
        linearised = form.linearised_at(form.core(free))
        tolerance = _EXACT if linear else _ROUGH if step == 1 else _FINE
        change, _, _ = gmres(
            linearised.apply, -residual,
            preconditioner=linearised.precondition, tolerance=tolerance,
        )  # fmt: skip
        free, residual, new_size = _damped(form, free, change, size)
        stagnating = new_size > size / 2 and new_size < _ROUNDING * first
        hopeless = step >= _PATIENCE and new_size > _HOPELESS * first
        grown = not new_size < size
        size = new_size
        if stagnating or hopeless or grown:
            break
    return Outcome(form.core(free), size / max(first, 1e-300), step)


def _damped(
    form: KroneckerForm, free: Tensor, change: Tensor, size: float
) -> tuple[Tensor, Tensor, float]:
    """Return the first of halved steps that does not raise the residual, and that residual."""
    damping = 1.0
    while True:
        trial = free + damping * change
        residual = form.residual(form.core(trial))
        new_size = float(residual.norm())
        if new_size <= size or damping <= _SMALLEST_DAMPING:
            return trial, residual, new_size
        damping /= 2
