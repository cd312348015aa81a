"""Problems with a noisy source on a grid: one prior scale for each product of bands, by evidence.

Also nonlinear problems of one axis. The functions are those of the bands that stand out of the
noise; the evidence then gives each product of bands, one of each axis, the scale that the data ask
for, and so leaves out what only noise would fill.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from jaxtyping import Int
from torch import Tensor

from .attempt import Attempt
from .axis import Axis
from .denoised import Denoised
from .expansion import Basis
from .features import Bands, merged
from .grid_posterior import GridPosterior
from .grid_rows import boundary_rows, equation_rows
from .known import Interpolant
from .many_dimensions import attempted, solve_many_dimensions
from .misfit import misfits
from .posterior import Posterior, Rows, learned
from .problem import Problem
from .product_basis import Combination, ProductBasis, SideBySide
from .spectrum import pursue
from .tensor_basis import principal

# Functions whose prior is so much smaller than what the noise hides are left out.
_HIDDEN, _LEAST, _MOST = 1e-3, 1e-11, 1e-5
# Boundary data are exact: their noise, relative to that of the source in the solution.
_EXACT = 1e-2
# More products are too many to factorise them again and again.
_DENSE = 1600
# Gauss-Newton steps, change of the residual in standard deviations that ends them, steps that
# learn scales, and rounds of each.
_STEPS, _SETTLED, _LEARNING, _ROUNDS = 20, 1e-2, 3, 10
# So many data show the standard deviation of their noise to some per cent.
_ENOUGH = 100


@dataclass(frozen=True, eq=False)
class _AxisPrior:
    """Functions of one axis: how many each band has."""

    basis: Basis
    counts: Sequence[int]
    bands: Bands

    @property
    def rank(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, eq=False)
class Noisy:
    """A solution of a problem with noise.

    Args:
        attempt: the most probable solution.
        posterior: None where draws have to tell its width.
        noise: standard deviation of the source.
        explained: of the residual between the nodes, relative to the source, by the noise.
        problem: what was solved; without the noise where there is no posterior.
    """

    attempt: Attempt
    posterior: GridPosterior | None
    noise: float
    explained: float
    problem: Problem


def solve_noisy_grid(problem: Problem, noise: float) -> Noisy:
    """Return the most probable solution of a problem with noise.

    Where the bands have too many products for a dense posterior, it is that of the problem whose
    source is rid of its noise, see `denoised`.

    Args:
        problem: with a stored source.
        noise: standard deviation of the source, as it was read off its spectrum.
    """
    source = problem.fields["source"]
    assert isinstance(source, Interpolant)
    largest = float(problem.source(problem.nodes).abs().max())
    least = min(max(_HIDDEN * noise / largest, _LEAST), _MOST)
    bands = [
        merged((*spectrum.bands, *traces))
        for spectrum, traces in zip(source.spectra, _trace_bands(problem), strict=True)
    ]
    priors = [_prior(axis, b, least) for axis, b in zip(problem.axes, bands, strict=True)]
    shape = tuple(prior.rank for prior in priors)
    if math.prod(shape) > _DENSE:
        clean = Denoised(source, problem.axes, noise)
        cleaned = replace(problem, fields={**problem.fields, "source": clean})
        found = attempted(cleaned, "bands above the noise", bands)
        if found is None or found.score > noise / largest:
            found = solve_many_dimensions(cleaned)[0]
        return Noisy(found, None, noise, noise / largest, cleaned)
    basis = ProductBasis([prior.basis for prior in priors])
    known = bool(source.given_noise)
    found, noise, settled = _learned(problem, basis, _groups(priors), noise, known)
    posterior = GridPosterior(basis.bases, shape, found)
    figures = misfits(problem, posterior.mean)
    name = "learned " + " x ".join(str(len(prior.bands)) for prior in priors) + " bands"
    attempt = Attempt(name, posterior.mean, tuple(bands), *figures, contracted=settled)
    explained = max(noise / largest, _open(problem, posterior))
    return Noisy(attempt, posterior, noise, explained, problem)


def _open(problem: Problem, posterior: GridPosterior) -> float:
    """Return ‖R(draw) - R(mean)‖ / ‖f‖ between the nodes for a draw from the posterior."""
    points, orders = [axis.midpoints for axis in problem.axes], problem.jet.orders
    (draw,) = posterior.draws(1, torch.Generator().manual_seed(0))
    squared = size = 0.0
    both = zip(draw.blocks(points, orders), posterior.mean.blocks(points, orders), strict=True)
    for (_, block, drawn), (_, _, mean) in both:
        known = problem.known(block)
        value = problem.jet.value
        squared += float((value(drawn, known) - value(mean, known)).square().sum())
        size += float(value(torch.zeros_like(mean), known).square().sum())
    return math.sqrt(squared / max(size, 1e-300))


def _learned(
    problem: Problem, basis: ProductBasis, groups: Int[Tensor, " m"], noise: float, known: bool
) -> tuple[Posterior, float, bool]:
    """Return the posterior by evidence, the noise, and whether the mean has settled.

    A nonlinear problem is linearised at the mean until that stays.
    """
    core, scales = None, ()
    for step in range(_STEPS):
        rows = equation_rows(problem, basis, noise, core)
        if not known and rows.unreached.count >= _ENOUGH:
            # Data that no function reaches show the noise alone, whatever the scales are.
            noise = rows.unreached.size / rows.unreached.count**0.5
            rows = rows.of_noise(noise)
        if step < _LEARNING:
            scales, edge = _scales(problem, basis, rows, groups, scales)
        whole = Rows.joined([rows, boundary_rows(problem, basis, edge)])
        found = whole.posterior(basis, rows.matrix.new_tensor(scales)[groups])
        before, core = core, found.mean
        if problem.linear:
            return found, noise, True
        if before is not None and step >= _LEARNING:
            # What the noise hides may go on changing.
            change = rows.matrix @ (core - before) / rows.noise
            if float(change.norm()) <= _SETTLED * len(change) ** 0.5:
                return found, noise, True
    return found, noise, False


def _scales(
    problem: Problem,
    basis: ProductBasis,
    rows: Rows,
    groups: Int[Tensor, " m"],
    before: Sequence[float],
) -> tuple[tuple[float, ...], float]:
    """Return the prior scale of each group, and the noise of the boundary data.

    Args:
        problem, basis, rows, groups: what they are of.
        before: scales to begin with; () is none.
    """
    count = int(groups.max()) + 1
    size = [float(rows.data.norm() / rows.matrix[:, groups == g].norm()) for g in range(count)]
    edge = _EXACT * float(rows.noise[0] / rows.data.abs().max()) * min(size)
    whole = Rows.joined([rows, boundary_rows(problem, basis, edge)]).reduced()
    return learned(whole, basis, groups, before or size, rounds=_ROUNDS).scales, edge


def _groups(priors: Sequence[_AxisPrior]) -> Int[Tensor, " m"]:
    """Return for each product of functions the number of its product of bands."""
    numbers = [
        [n for n, count in enumerate(prior.counts) for _ in range(count)] for prior in priors
    ]
    order: dict[tuple[int, ...], int] = {}
    flat = [order.setdefault(key, len(order)) for key in product(*numbers)]
    return torch.tensor(flat)


def _prior(axis: Axis, bands: Bands, least: float) -> _AxisPrior:
    """Return functions with the prior of white bands, but for those that are hardly there."""
    parts = []
    for band in bands:
        features = axis.features((band,))
        sizes, right = principal(features, axis)
        parts.append(Combination(features, right[sizes > least * sizes[0]].T))
    counts = [part.transform.shape[1] for part in parts]
    return _AxisPrior(SideBySide(parts), counts, bands)


def _trace_bands(problem: Problem) -> list[Bands]:
    """Return the bands that the boundary data have along each axis."""
    found: list[Bands] = []
    for j, axis in enumerate(problem.axes):
        columns = []
        for f in problem.functionals:
            data = f.data(problem.nodes)
            if f.axis != j and bool(data.any()):
                place = j - (f.axis < j)
                columns.append(data.movedim(place, 0).reshape(len(axis.nodes), -1))
        if not columns:
            found.append(())
            continue
        spectrum = pursue(torch.cat(columns, 1), axis, width=4.0)
        found.append(((0.0, 0.8 * axis.nyquist),) if spectrum.broad else spectrum.bands)
    return found
