"""Solve an equation without data, by a prior whose spectrum the problem itself gives."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..grid import Grid
from ..solution import Solution
from .attempt import Attempt
from .axis import SPACING
from .boundary import Boundary
from .checks import aliased, ill_posed, indefinite, under_resolved
from .expansion import Expansion
from .features import Bands
from .grid_posterior import GridPosterior
from .hard_posterior import hard_posterior
from .known import Given, Interpolant
from .many_dimensions import solve_many_dimensions
from .misfit import misfits
from .noisy import solve_noisy
from .noisy_grid import solve_noisy_grid
from .one_dimension import solve_one_dimension
from .posterior import Posterior
from .priors import spectrum_of
from .problem import Problem, problem_of
from .sampling import spread
from .slabs import Solved

# Noise of stored values below this share of the largest is rounding.
_NOISY = 1e-11
# The residual between the nodes may be so many times what the noise explains.
_NOISE_ALLOWED = 5.0
# Draws around a solution of noisy data that has too many functions for a dense posterior.
_DRAWS = 50
_ADVICE = (
    "look whether the problem has a solution, refine the grid, or solve it for weaker data or a "
    "shorter time first"
)


@dataclass(frozen=True)
class GPSolution(Solution):
    """A solution that can be evaluated anywhere, and what it was chosen from.

    Args:
        expansion: u at any points of the box, with derivatives.
        bands: frequencies of the prior of each axis, cycles per length.
        candidates: name and figures of every prior that was tried, the chosen one marked.
        warnings: what a reader should know though the residual is small.
        posterior: the Gaussian over the coefficients, in one dimension and for noisy data on grids;
            with exact data its width is approximate.
        problem: what was solved, for `gp.sampling.samples`.
    """

    expansion: Solved | None = None
    bands: tuple[Bands, ...] = ()
    candidates: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    posterior: Posterior | GridPosterior | None = None
    problem: Problem | None = None

    def at(self, points: Sequence[Tensor], orders: Sequence[int] | None = None) -> Tensor:
        """Return u, or a derivative, on the tensor product of the positions of each axis."""
        assert self.expansion is not None
        return self.expansion(points, orders)

    def bars(self, points: Sequence[Tensor] | None = None, *, draws: int = 50) -> Tensor:
        """Return the standard deviation of u on the tensor product of positions, or on the nodes.

        That of the posterior if there is one, else of as many `draws` around the solution, each of
        which costs about one solve: what noise, or what the solve left of the equation, does to u.

        Raises:
            ValueError: the solution is in slabs of time, or of a kernel that the user gave.
        """
        assert self.problem is not None and self.expansion is not None
        points = self.problem.nodes if points is None else points
        if isinstance(self.posterior, GridPosterior):
            return self.posterior.std(points)
        if self.posterior is not None:
            return self.posterior.std(points[0])
        largest = float(self.problem.source(self.problem.nodes).abs().max())
        noise = max(float(self.stats["noise"]), float(self.stats["residual"]) * largest)
        return spread(self.problem, self.expansion, points, noise=noise, draws=draws)


def solve(
    equation: Any,
    grid: Grid,
    *,
    source: Given | None = None,
    boundary: Boundary = None,
    kernel: Any = None,
    fields: Mapping[str, Given] | None = None,
    noise: float = 0.0,
    spacing: float = SPACING,
    tolerance: float = 1e-6,
    raise_on_failure: bool = True,
    device: torch.device | str | None = None,
) -> GPSolution:
    """Return the posterior mean of a band-limited Gaussian process that solves the equation.

    The bands are read off the source and the boundary data; a few of them are tried and the one
    whose residual between the nodes is least is taken. Float64, whatever comes.

    Args:
        equation: an object with `residual(d, u, **fields)`, or that function; it reads its unknown
            and its fields only as d(u, orders), orders one an axis of the grid (time first).
        grid: one to three axes; periodic axes need no boundary data.
        source: f, of which the residual is N(u) - f, as a number, values on the grid or a function
            of the coordinates (differentiable torch code that broadcasts). A function also tells
            f between the nodes, where the solution is tested.
        boundary: conditions by face, such as {(0, "low"): dirichlet(g)}, see `gp.boundary`; or a
            value of u on all faces; None is zero on all faces.
        kernel: of `gp.kernels` or stock gpytorch, one or one for each axis, in place of the bands;
            accurate to stats["accuracy"].
        fields: what else the residual takes, as the source.
        noise: standard deviation of a stored source on its nodes; 0 lets it be found.
        spacing: teeth of the comb per 1 / length; 1.8 to 3, no integer.
        tolerance: of residual and boundary misfit, relative; above it the solution has not
            converged.
        raise_on_failure: False returns a solution that has not converged, and says why.
        device: where to compute.

    Returns:
        value (1, *grid), stats residual (between the nodes, relative to the largest term of the
        equation), boundary, candidates, noise (found in a stored source) and accuracy, each of
        shape (); std in one dimension and for noisy data, else see `GPSolution.bars`.

    Raises:
        ValueError: data do not fit the grid or the equation, or a count of conditions is wrong.
        ConvergenceError: no candidate reached the tolerance.

    Good values: 2.4 points per wavelength or more, and 48 nodes an axis or more. One wave on 32 and
    24 nodes is left with errors of 1e-7 and 5e-6, which are not called converged.
    Fails when: the solution is not band-limited (kinks, layers): 1e-4 to 1e-8 then.

    Source: the model is that of Fang et al. 2024, arXiv:2311.04465, with a flat spectral density
    on bands in place of a learned mixture and a direct solve in place of Adam.
    """
    if not isinstance(tolerance, int | float) or not tolerance > 0:
        raise ValueError(
            f"tolerance is {tolerance!r}, expected a positive number: 1e-6 for smooth solutions, "
            "more for kinks and layers"
        )
    place = None if device is None else torch.device(device)
    problem = problem_of(
        equation,
        grid,
        source=source,
        boundary=boundary,
        fields=fields,
        noise=noise,
        spacing=spacing,
        device=place,
    )
    notes = [note for note in [ill_posed(problem), _kernel_note(problem, kernel)] if note]
    for note in notes:
        warnings.warn(note, stacklevel=2)
    found = _searched(problem, kernel)
    notes += [indefinite(problem, found.best.expansion)]
    # Peaks of noise are no lines.
    notes += [under_resolved(problem)] if grid.dims == 1 or not found.noise else []
    solution = _answer(found.problem or problem, found, [n for n in notes if n], tolerance)
    solution.checked(raise_on_failure=raise_on_failure)
    return solution


def _kernel_note(problem: Problem, kernel: Any) -> str:
    if kernel is None:
        return ""
    from .user_kernel import above_nyquist

    return above_nyquist(problem, kernel)


@dataclass(frozen=True, eq=False)
class _Found:
    best: Attempt
    tried: Sequence[Attempt]
    posterior: Posterior | GridPosterior | None = None
    noise: float = 0.0
    accuracy: float = 0.0
    # Of the residual between the nodes, by the noise.
    explained: float = 0.0
    # What was solved, where it is not what was given.
    problem: Problem | None = None


def _searched(problem: Problem, kernel: Any) -> _Found:
    if kernel is not None:
        from .user_kernel import solve_with_kernel

        best, tried, accuracy = solve_with_kernel(problem, kernel)
        return _Found(best, tried, accuracy=accuracy)
    noisy = _noisy(problem)
    if noisy is not None:
        return noisy
    if len(problem.axes) > 1:
        return _Found(*solve_many_dimensions(problem))
    best, tried = solve_one_dimension(problem)
    return _Found(best, tried, hard_posterior(problem, best))


def _noisy(problem: Problem) -> _Found | None:
    """Return the solution of a problem whose source is noisy, None where it is not."""
    source = problem.fields.get("source")
    # Only stored values can be noisy: a function says the same whenever it is asked.
    if not isinstance(source, Interpolant):
        return None
    largest = float(problem.source(problem.nodes).abs().max())
    if len(problem.axes) == 1 and problem.linear:
        spectrum = spectrum_of(problem, problem.axes[0], 4.0, source.given_noise)
        if not spectrum.noise > _NOISY * largest:
            return None
        learned, expansion, bands = solve_noisy(problem, spectrum)
        best = Attempt("learned", expansion, (bands,), *misfits(problem, expansion))
        noise = learned.noise * spectrum.noise
        share = noise / largest
        return _Found(best, [best], learned.posterior, noise, share, share)
    if not source.noise > _NOISY * largest:
        return None
    noisy = solve_noisy_grid(problem, source.noise)
    best, share = noisy.attempt, noisy.noise / largest
    return _Found(best, [best], noisy.posterior, noisy.noise, share, noisy.explained, noisy.problem)


def _answer(problem: Problem, found: _Found, notes: list[str], tolerance: float) -> GPSolution:
    best, expansion = found.best, found.best.expansion
    zeroth = [(0,) * len(problem.axes)]
    value = problem.nodes[0].new_empty(problem.grid.shape)
    for rows, _, block in expansion.blocks(problem.nodes, zeroth):
        value[rows] = block[0]
    allowed = max(tolerance, _NOISE_ALLOWED * found.explained)
    small = best.residual <= allowed and best.boundary <= allowed
    converged = small and best.contracted
    elsewhere = aliased(problem, best, allowed) if converged and not found.noise else ""
    converged = converged and not elsewhere
    message = elsewhere or "converged"
    if not small:
        message = (
            f"the residual between the nodes is {best.residual:.1e} of the largest term and the "
            f"boundary misfit {best.boundary:.1e}, more than {allowed:.1e}: refine the grid, or "
            "accept a larger tolerance for a solution with kinks or layers"
        )
    if not best.contracted:
        message = "the nonlinear iteration does not converge, nor does continuation: " + _ADVICE
    if found.noise:
        notes = [f"the source has noise of standard deviation {found.noise:.3g}", *notes]
    stats = {
        "residual": best.residual, "boundary": best.boundary, "noise": found.noise,
        "candidates": float(len(found.tried)), "accuracy": found.accuracy,
    }  # fmt: skip
    candidates = tuple(a.figures() | {"chosen": a is best} for a in found.tried)
    return GPSolution(
        value=value[None],
        grid=problem.grid,
        converged=torch.tensor(converged, device=problem.device),
        stats={name: value.new_tensor(figure) for name, figure in stats.items()},
        message="; ".join([message, *notes]),
        expansion=expansion,
        bands=best.bands,
        candidates=candidates,
        warnings=tuple(notes),
        posterior=found.posterior,
        problem=problem,
        std=_std(problem, found),
    )


def _std(problem: Problem, found: _Found) -> Tensor | None:
    posterior, expansion = found.posterior, found.best.expansion
    if isinstance(posterior, GridPosterior):
        return posterior.std(problem.nodes)[None]
    if posterior is not None:
        return posterior.std(problem.nodes[0])[None]
    if found.noise and isinstance(expansion, Expansion):
        return spread(problem, expansion, problem.nodes, noise=found.noise, draws=_DRAWS)[None]
    return None
