"""Error bars of a solution whose data are exact: what the truncated solve leaves undetermined."""

from dataclasses import replace

import torch

from .attempt import Attempt
from .expansion import Expansion
from .observations import problem_rows
from .posterior import Posterior, Rows
from .problem import Problem

# Rounding of a sum of as many terms as there are features, relative to the row.
_ROUNDING, _TINY = 1e-14, 1e-300


def hard_posterior(problem: Problem, attempt: Attempt) -> Posterior:
    """Return the posterior of a one-dimensional solution, by Laplace where it is nonlinear.

    The noise is what the solve left of the equation between the nodes, or rounding; the scale of
    the coefficients is that of the solution. So the bars are approximate: they say what a prior of
    these bands leaves open, not what lies outside the bands.
    """
    assert isinstance(attempt.expansion, Expansion)  # slabs are of more axes
    features, mean = attempt.expansion.bases[0], attempt.expansion.core
    rows = problem_rows(problem, features, 1.0, 1.0, at=mean)
    fitted, edges = rows.matrix @ mean, len(problem.functionals)
    split = len(fitted) - edges
    level = max(_ROUNDING, attempt.residual) * float(fitted[:split].abs().max())
    edge = max(_ROUNDING, attempt.boundary) * max([1.0, *fitted[split:].abs().tolist()])
    noise = torch.full_like(fitted, max(level, _TINY))
    noise[split:] = edge
    size = float(mean.norm()) / len(mean) ** 0.5
    found = Rows(rows.matrix, fitted, noise).posterior(
        features, torch.full_like(mean, max(size, _TINY))
    )
    return replace(found, mean=mean)
