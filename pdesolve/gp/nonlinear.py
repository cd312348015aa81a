"""The core of a Kronecker system by damped Newton steps; a linear one takes one and refinements."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ..ops.gmres import gmres
from .kronecker_form import KroneckerForm

_STEPS, _SMALLEST_DAMPING = 25, 1 / 32
# A Newton iteration is given up that over so many steps has not brought its residual below this
# share of what it was. On evolution equations it creeps until it has passed all of the time.
_HOPELESS, _PATIENCE = 0.9, 4
# A linear step that keeps more than this of its right-hand side is no Newton step.
_USELESS = 0.1
# Inner steps that are worth waiting for: the preconditioner fits, or it does not.
_INNER, _INNER_LINEAR = 30, 60
# A residual that fell by this belongs to a solution of the system; what is left is rounding.
_CONTRACTED = 1e-6
# Below this share of the start a residual that does not halve any more is rounding.
_ROUNDING = 1e-8
_REFINEMENTS = 3
_ROUGH, _FINE, _EXACT = 1e-3, 1e-5, 1e-10


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an iteration reached.

    Args:
        core: coefficients of the solution.
        free: W, those of them that the boundary data leave free.
        reduction: of the tested residual, relative to the start.
        steps: Newton steps or refinements taken.
    """

    core: Float[Tensor, "*r"]
    free: Float[Tensor, "*free"]
    reduction: float
    steps: int

    @property
    def contracted(self) -> bool:
        """Whether the core solves its system, whose solution may still be a poor one."""
        return self.reduction <= _CONTRACTED


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
    return Outcome(form.core(free), free, size / max(start, 1e-300), step + 1)


def solve_newton(form: KroneckerForm, start: Float[Tensor, "*free"] | None = None) -> Outcome:
    """Solve any equation by Newton steps, each by GMRES on the exact linearisation.

    Args:
        form: the system.
        start: W to begin with; None is zero.
    """
    free = form.start() if start is None else start
    linear = form.problem.linear
    residual = form.residual(form.core(free))
    sizes = [float(residual.norm())]
    # A good start must not make the same final residual look worse.
    first = sizes[0] if start is None else float(form.residual(form.lifted).norm())
    while len(sizes) <= _STEPS and 0 < sizes[-1] < math.inf:
        linearised = form.linearised_at(form.core(free))
        tolerance = _EXACT if linear else _ROUGH if len(sizes) == 1 else _FINE
        change, left, _ = gmres(
            linearised.apply, -residual,
            preconditioner=linearised.precondition, tolerance=tolerance,
            iterations=_INNER_LINEAR if linear else _INNER,
        )  # fmt: skip
        if not linear and left > _USELESS:
            break
        free, residual, size = _damped(form, free, change, sizes[-1])
        stagnating = size > sizes[-1] / 2 and size < _ROUNDING * first
        sizes.append(size)
        earlier = sizes[-1 - _PATIENCE] if len(sizes) > _PATIENCE else math.inf
        if stagnating or size > _HOPELESS * earlier or not size < sizes[-2]:
            break
    return Outcome(form.core(free), free, sizes[-1] / max(first, 1e-300), len(sizes) - 1)


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
