"""Error bars of a solution whose data are exact: what the truncated solve leaves undetermined."""

import torch

from .attempt import Attempt
from .one_dimension import collocation
from .posterior import Posterior, Rows
from .problem import Problem

# Rounding of a sum of as many terms as there are features, relative to the row.
_ROUNDING = 1e-14


def hard_posterior(problem: Problem, attempt: Attempt) -> Posterior:
    """Return the posterior of a one-dimensional solution, by Laplace where it is nonlinear.

    The noise is what the solve left of the equation between the nodes, or rounding; the scale of
    the coefficients is that of the solution. So the bars are approximate: they say what a prior of
    these bands leaves open, not what lies outside the bands.
    """
    features, mean = attempt.expansion.bases[0], attempt.expansion.core
    rows = collocation(problem, features)
    jet = rows.derivatives @ mean
    matrix = torch.einsum("kn,knm->nm", rows.linearised(jet), rows.derivatives)
    level = max(_ROUNDING, attempt.residual) * float((matrix @ mean).abs().max())
    edge = max(_ROUNDING, attempt.boundary) * max(float((rows.conditions @ mean).abs().max()), 1.0)
    size = float(mean.norm()) / len(mean) ** 0.5
    noise = torch.cat(
        [torch.full_like(jet[0], max(level, 1e-300)), torch.full_like(rows.values, edge)]
    )
    data = torch.cat([matrix @ mean, rows.conditions @ mean])
    whole = Rows(torch.cat([matrix, rows.conditions]), data, noise)
    found = whole.posterior(features, torch.full_like(mean, max(size, 1e-300)))
    return Posterior(features, mean, found.triangle, found.log_evidence, found.misfit)
