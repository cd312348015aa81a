"""What is known of a solution, as rows for its coefficients, and the posterior that they make."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from .boundary import Boundary
from .expansion import Basis
from .grid_posterior import GridPosterior
from .grid_rows import boundary_rows, equation_rows
from .known import Given
from .one_dimension import collocation
from .posterior import Posterior, Rows
from .problem import Problem, problem_of
from .product_basis import ProductBasis

# Noise of data that are called exact, relative to the largest of them: rounding.
_ROUNDING = 1e-13
# Coefficients of several axes whose covariance is factorised as one matrix, in seconds.
DENSE = 2000
# Gauss-Newton steps, and the change in standard deviations of the posterior that ends them.
_STEPS, _SETTLED = 30, 1e-2


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
    basis: Callable[..., Tensor],
    points: Float[Tensor, "n *d"],
    values: Float[Tensor, " n"],
    noise: float,
    order: Any = 0,
) -> Rows:
    """Return measured values of u, or of a derivative, with noise of one standard deviation.

    Args:
        basis: functions of the coefficients; of several axes a `ProductBasis`.
        points: (n,), on several axes (n, d).
        values: (n,).
        noise: standard deviation of each.
        order: of the derivative, on several axes one an axis.
    """
    if isinstance(basis, ProductBasis):
        matrix = basis.scattered(points, order or None)
    else:
        matrix = basis(points, order)
    return Rows(matrix, values, torch.full_like(values, noise))


def condition(
    equation: Any,
    grid: Grid,
    basis: Basis | Sequence[Basis],
    *,
    source: Given | None = None,
    boundary: Boundary = None,
    fields: Mapping[str, Given] | None = None,
    noise: float = 0.0,
    values: Float[Tensor, "*n"] | None = None,
    sensors: tuple[Tensor, Float[Tensor, " n"], float] | None = None,
    scale: float = 1.0,
) -> Posterior | GridPosterior:
    """Return what equation, boundary data and sensors say of a function drawn from a prior.

    Exact for a linear equation with Gaussian noise: intervals of the posterior cover as they say.
    For a nonlinear one it is the Gaussian of Laplace at the most probable function.

    Args:
        equation, grid, source, boundary, fields: as `solve`.
        basis: functions whose coefficients are N(0, scale²), such as `Features`, or those of
            `covariance.features_of(kernel, axis)`; one basis for each axis.
        noise: standard deviation of the source's values; 0 is rounding.
        values: the source as it was measured on the nodes, added to `source`; no interpolant is
            made of it.
        sensors: places (n,), on several axes (n, d), measured values of u, and their standard
            deviation.
        scale: prior standard deviation of the coefficients.

    Returns:
        a `Posterior` on one axis, a `GridPosterior` on several.

    Raises:
        ValueError: more functions than a dense factorisation is meant for.
        ArithmeticError: the most probable function of a nonlinear equation was not found.
    """
    problem = problem_of(equation, grid, source=source, boundary=boundary, fields=fields)
    bases = list(basis) if isinstance(basis, Sequence) else [basis]
    if len(bases) != grid.dims:
        raise ValueError(
            f"basis has {len(bases)} entries on a grid of {grid.dims} axes, expected one an axis: "
            "repeat it for axes that share it"
        )
    shape = tuple(b(x[:1]).shape[1] for b, x in zip(bases, problem.nodes, strict=True))
    check_dense(shape)
    product = bases[0] if grid.dims == 1 else ProductBasis(bases)
    spread = torch.full((math.prod(shape),), scale).to(problem.nodes[0])

    def at(c: Tensor | None) -> Posterior:
        rows = _all_rows(problem, product, noise, values, _ROUNDING * scale, c)
        if sensors is not None:
            rows = Rows.joined([rows, sensor_rows(product, *sensors)])
        return rows.posterior(product, spread)

    found = at(None)
    if not problem.linear:
        found = most_probable(at, found)
    return found if grid.dims == 1 else GridPosterior(bases, shape, found)


def most_probable(at: Callable[[Tensor], Posterior], found: Posterior) -> Posterior:
    """Return the posterior of the rows that are linearised at its own mean.

    Args:
        at: coefficients to the posterior of the rows linearised there.
        found: the posterior to begin with.

    Raises:
        ArithmeticError: the iteration does not settle.
    """
    for _ in range(_STEPS):
        before, found = found.mean, at(found.mean)
        change = found.triangle @ (found.mean - before)
        if float(change.norm()) <= _SETTLED * len(change) ** 0.5:
            return found
    raise ArithmeticError(
        f"the most probable function is not settled after {_STEPS} Gauss-Newton steps, expected "
        "an equation that its data hold close to one solution: give less noise or a finer grid"
    )


def check_dense(shape: Sequence[int]) -> None:
    """Raise ValueError for more products of functions than are factorised as one matrix."""
    if math.prod(shape) > DENSE:
        raise ValueError(
            f"bases have {' x '.join(map(str, shape))} = {math.prod(shape)} products, expected at "
            f"most {DENSE} for a dense posterior: take fewer functions, or draw "
            "`gp.sampling.samples` around a solution"
        )


def _all_rows(
    problem: Problem,
    basis: Any,
    noise: float,
    values: Tensor | None,
    edge: float,
    at: Tensor | None,
) -> Rows:
    """Return equation and boundary; a noise of 0 is the rounding of the source."""
    added = None if values is None else values.double().to(problem.device)
    source = problem.source(problem.nodes) + (0.0 if added is None else added)
    sigma = max(noise, _ROUNDING * float(source.abs().max()), 1e-300)
    if isinstance(basis, ProductBasis):
        rows = equation_rows(problem, basis, sigma, at, added)
        return Rows.joined([rows, boundary_rows(problem, basis, edge)])
    rows = problem_rows(problem, basis, sigma, edge, at)
    if added is None:
        return rows
    data = rows.data.clone()
    data[: len(added)] += added
    return Rows(rows.matrix, data, rows.noise)
