"""One-dimensional problems: candidates, and the one whose residual between the nodes is least."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .attempt import GOOD, Attempt
from .axis import Axis
from .continuation import continued
from .expansion import Expansion
from .misfit import misfits
from .priors import Prior, band_priors, envelope_priors, full_prior, periodogram_prior
from .problem import Problem
from .weight_space import SHARPEST, Collocation, solve_linear, solve_nonlinear

_CUTOFFS = tuple(10.0**-k for k in range(12, 3, -2))
# Growth of a full band that is too narrow, and where it ends, in Nyquist frequencies.
_GROWTH, _LAST = 1.25, 0.9
# Residuals below it are rounding, which ranks nothing.
_PERFECT = 1e-12
# A wider band has to bring the score down by this to be widened again.
_WORTHWHILE = 0.7


def solve_one_dimension(problem: Problem) -> tuple[Attempt, list[Attempt]]:
    """Return the best solution and all that were tried, with as few of them as do.

    The flat bands first, since the best is often several digits better than a good one; then until
    one is good the same with less of their small singular values (noise, kinks), bands of the data
    at midpoints too, envelopes, and ever wider bands.
    """
    axis = problem.axes[0]
    first, tried = [], []
    for prior in band_priors(problem, axis):
        first.append(Solver(problem, prior))
        tried.append(first[-1](SHARPEST))
        if tried[-1].score < _PERFECT:
            break
    best = min(tried, key=lambda attempt: attempt.order)
    for attempt in () if best.score < GOOD else _harder(problem, first, best.contracted):
        tried.append(attempt)
        best = min(best, attempt, key=lambda attempt: attempt.order)
        if best.score < GOOD:
            break
    for attempt in () if best.score < GOOD or not best.contracted else _grown(problem, best):
        tried.append(attempt)
        if not attempt.score < _WORTHWHILE * best.score:
            break
        best = attempt
    return best, tried


def _harder(problem: Problem, first: list["Solver"], settled: bool) -> Iterator[Attempt]:
    # Cut-offs and other bands are for what an iteration leaves, not for one that goes astray.
    if not settled:
        for solver in {first[0]: None, first[-1]: None}:
            attempt = solver.continued(SHARPEST)
            if attempt is not None:
                yield attempt
        return
    yield from (solver(cutoff) for solver in first for cutoff in _CUTOFFS)
    axis = problem.axes[0]
    points = torch.cat([axis.nodes, axis.midpoints]).sort()[0]
    finer = Axis(points, axis.length, axis.periodic, axis.spacing)
    more = [
        periodogram_prior(problem),
        *band_priors(problem, finer, " with midpoints"),
        *envelope_priors(problem),
    ]
    for prior in more:
        solver = Solver(problem, prior)
        yield from (solver(cutoff) for cutoff in (SHARPEST, *_CUTOFFS))


def _grown(problem: Problem, attempt: Attempt) -> Iterator[Attempt]:
    axis = problem.axes[0]
    top, last = attempt.expansion.bases[0].top / (2 * math.pi), _LAST * axis.nyquist
    while top < last:
        top = min(max(_GROWTH * top, top + 4 / axis.length), last)
        yield Solver(problem, full_prior(axis, top))(attempt.cutoff)


class Solver:
    """One problem with one prior, for any cut-off."""

    def __init__(self, problem: Problem, prior: Prior):
        self._problem, self._prior = problem, prior
        self.collocation = collocation(problem, prior.features)
        self._solved = solve_linear(self.collocation) if problem.linear else None

    def __call__(self, cutoff: float) -> Attempt:
        """Return the solution with this cut-off, and how well it holds between the nodes."""
        if self._solved is not None:
            return self._attempt(self._prior.name, self._solved(cutoff), cutoff)
        coefficients, settled = solve_nonlinear(self.collocation, cutoff)
        return self._attempt(self._prior.name, coefficients, cutoff, settled)

    def continued(self, cutoff: float) -> Attempt | None:
        """Return the solution at the end of a path from zero, None if there is none."""
        rows = self.collocation
        zero = rows.derivatives.new_zeros(rows.derivatives.shape[2])
        coefficients = continued(
            lambda share, start: solve_nonlinear(rows.loaded(share), cutoff, start), zero
        )
        name = f"{self._prior.name}, continued"
        return None if coefficients is None else self._attempt(name, coefficients, cutoff)

    def _attempt(
        self, name: str, coefficients: Tensor, cutoff: float, settled: bool = True
    ) -> Attempt:
        expansion = Expansion([self._prior.features], coefficients)
        figures = misfits(self._problem, expansion)
        return Attempt(name, expansion, (self._prior.bands,), *figures, cutoff, settled)


def collocation(problem: Problem, features) -> Collocation:
    """Return the rows of a problem with these features."""
    nodes = problem.axes[0].nodes
    known = problem.known([nodes])
    rows = [f.row(features, problem.device) for f in problem.functionals]
    values = [float(f.data([nodes])) for f in problem.functionals]
    derivatives = torch.stack([features(nodes, order) for (order,) in problem.jet.orders])
    return Collocation(
        derivatives,
        torch.stack(rows) if rows else derivatives.new_zeros(0, derivatives.shape[2]),
        nodes.new_tensor(values),
        lambda jet: problem.jet.value(jet, known),
        lambda jet: problem.jet.linearised(jet, known),
    )
