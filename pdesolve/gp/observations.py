"""What is known of a one-dimensional solution, as rows for its coefficients."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from .boundary import Boundary
from .expansion import Basis
from .known import Given
from .one_dimension import collocation
from .posterior import Posterior, Rows
from .problem import Problem, problem_of

# Noise of data that are called exact, relative to the largest of them: rounding.
_ROUNDING = 1e-13


def problem_rows(
    problem: Problem, basis: Basis, noise: float, edge: float, at: Tensor | None = None
) -> Rows:
    """Return the linearised equation at the nodes, then the boundary conditions.

    Args:
        problem: one axis.
        basis: functions of the coefficients.
        noise: standard deviation of the source.
        edge: of the boundary data.
        at: coefficients where a nonlinear equation is linearised; None is zero.
    """
    rows = collocation(problem, basis)
    c = rows.derivatives.new_zeros(rows.derivatives.shape[2]) if at is None else at
    jet = rows.derivatives @ c
    matrix = torch.einsum("kn,knm->nm", rows.linearised(jet), rows.derivatives)
    data = matrix @ c - rows.residual(jet)
    return Rows.joined(
        [
            Rows(matrix, data, torch.full_like(data, noise)),
            Rows(rows.conditions, rows.values, torch.full_like(rows.values, edge)),
        ]
    )


def sensor_rows(
    basis: Callable[[Tensor, int], Tensor],
    points: Float[Tensor, " n"],
    values: Float[Tensor, " n"],
    noise: float,
    order: int = 0,
) -> Rows:
    """Return measured values of u, or of a derivative, with noise of one standard deviation."""
    return Rows(basis(points, order), values, torch.full_like(values, noise))


def condition(
    equation: Any,
    grid: Grid,
    basis: Basis,
    *,
    source: Given | None = None,
    boundary: Boundary = None,
    fields: Mapping[str, Given] | None = None,
    noise: float = 0.0,
    values: Float[Tensor, " n"] | None = None,
    sensors: tuple[Float[Tensor, " n"], Float[Tensor, " n"], float] | None = None,
    scale: float = 1.0,
) -> Posterior:
    """Return what equation, boundary data and sensors say of a function drawn from a prior.

    Exact for a linear equation with Gaussian noise: intervals of the posterior cover as they say.

    Args:
        equation, grid, source, boundary, fields: as `solve`; linear, one axis.
        basis: functions whose coefficients are N(0, scale²), such as `Features`, or those of
            `covariance.features_of(kernel, axis)`.
        noise: standard deviation of the source's values; 0 is rounding.
        values: the source as it was measured on the nodes, added to `source`; no interpolant is
            made of it.
        sensors: places, measured values of u, and their standard deviation.
        scale: prior standard deviation of the coefficients.

    Raises:
        ValueError: the equation is not linear or has more than one axis.
    """
    problem = problem_of(equation, grid, source=source, boundary=boundary, fields=fields)
    if grid.dims != 1 or not problem.linear:
        raise ValueError(
            f"the equation is {'' if problem.linear else 'not '}linear on {grid.dims} axes, "
            "expected a linear one on one axis: use solve, whose bars are approximate, instead"
        )
    rows = problem_rows(problem, basis, 1.0, _ROUNDING * scale)
    nodes, data, sizes = grid.shape[0], rows.data.clone(), rows.noise.clone()
    data[:nodes] += 0.0 if values is None else values
    sizes[:nodes] = max(noise, _ROUNDING * float(data[:nodes].abs().max()), 1e-300)
    rows = Rows(rows.matrix, data, sizes)
    if sensors is not None:
        rows = Rows.joined([rows, sensor_rows(basis, *sensors)])
    return rows.posterior(basis, torch.full_like(rows.matrix[0], scale))
