"""Problems in two and three dimensions: candidates, and the best one by its residual."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .axis import Axis
from .dispersion import dispersion_lines
from .features import Bands, merged
from .kronecker_form import KroneckerForm
from .nonlinear import Outcome, solve_newton, solve_separable
from .one_dimension import GOOD
from .problem import Problem
from .snapshots import snapshots
from .spectrum import Spectrum, pursue
from .tensor_basis import OrthonormalBasis, TestSpace, automatic_test_space

_WIDTHS = (4.0, 2.0, 8.0)
_FULL = 0.8
# Functions per node above which a candidate is refused; lower for a nonlinear evolution, whose
# Newton iteration diverges there.
_RANK, _EVOLUTION_RANK = 0.8, 0.65
_LADDER = (0.25, 0.4, 0.55)
_GROWTH = 1.5
_BAD = 1e-6
# A residual below it is rounding for a solve on a grid, which ranks nothing.
PERFECT = 1e-10


@dataclass(frozen=True, eq=False)
class GridAttempt:
    """A solution with one prior on a grid; see `one_dimension.Attempt`."""

    name: str
    form: KroneckerForm
    outcome: Outcome
    bands: tuple[Bands, ...]
    residual: float
    boundary: float

    @property
    def score(self) -> float:
        """What candidates are compared by; a failed one is infinite."""
        total = self.residual + self.boundary
        return total if math.isfinite(total) else math.inf


def solve_many_dimensions(problem: Problem) -> tuple[GridAttempt, list[GridAttempt]]:
    """Return the best solution and all that were tried, with as few of them as do."""
    tried: list[GridAttempt] = []
    best: GridAttempt | None = None
    for stage in (_lines(problem), _ladder(problem)):
        for attempt in stage:
            tried.append(attempt)
            if best is None or attempt.score < best.score:
                best = attempt
            if attempt.score < PERFECT:
                return best, tried
        if best is not None and best.score < GOOD:
            return best, tried
        if best is not None:
            for attempt in _grown(problem, best):
                tried.append(attempt)
                if attempt.score < best.score:
                    best = attempt
                if best.score < GOOD:
                    return best, tried
            if best.score < _BAD:
                return best, tried
    if best is None:
        raise ValueError("no candidate fits")
    return best, tried


def attempted(
    problem: Problem, name: str, bands: Sequence[Bands], spaces: Sequence[TestSpace] | None = None
) -> GridAttempt | None:
    """Return the solution with these bands, None where they are too many for the nodes."""
    bases = [
        OrthonormalBasis.of(axis.features(b), axis)
        for axis, b in zip(problem.axes, bands, strict=True)
    ]
    evolution = [
        automatic_test_space([f for f in problem.functionals if f.axis == j]) == "derivative"
        for j in range(len(bases))
    ]
    limit = _EVOLUTION_RANK if any(evolution) and not problem.linear else _RANK
    if any(b.rank > limit * len(a.nodes) for b, a in zip(bases, problem.axes, strict=True)):
        return None
    if spaces is None:
        spaces = ["derivative" if e else "galerkin" for e in evolution]
    form = KroneckerForm(problem, bases, spaces)
    separable = problem.constant and all(
        sum(n > 0 for n in orders) <= 1 for orders in problem.jet.orders
    )
    outcome = solve_separable(form) if separable else solve_newton(form)
    residual, boundary = misfits(form, outcome.core)
    return GridAttempt(name, form, outcome, tuple(bands), residual, boundary)


def misfits(form: KroneckerForm, core: Tensor) -> tuple[float, float]:
    """Return the residual at all midpoints and the misfit of the traces at midpoints."""
    problem = form.problem
    points = [axis.midpoints for axis in problem.axes]
    squared = source = 0.0
    terms = torch.zeros(len(problem.jet.orders), dtype=torch.float64, device=problem.device)
    size = 0.0
    for _, derivatives, known in form.blocks(core, points):
        squared += float(problem.jet.value(derivatives, known).square().sum())
        source += float(problem.jet.value(torch.zeros_like(derivatives), known).square().sum())
        coefficients = problem.jet.linearised(derivatives, known)
        terms += (coefficients * derivatives).square().flatten(1).sum(1)
    largest = math.sqrt(max(source, float(terms.max())))
    residual = math.sqrt(squared) / max(largest, 1e-300)
    expansion = form.expansion(core)
    size = max(float(expansion([a.nodes if j else a.nodes[:: max(1, len(a.nodes) // 50)] for j, a in enumerate(problem.axes)]).abs().max()), 1e-300)
    worst = 0.0
    for f in form.forms:
        for functional, scale in zip(f.functionals, f.scales, strict=True):
            j = functional.axis
            place = points[0].new_tensor([functional.position])
            at = [place if i == j else x for i, x in enumerate(points)]
            orders = [[n if i == j else 0 for i in range(len(points))] for n in functional.terms]
            value = sum(
                c * expansion(at, o) for c, o in zip(functional.terms.values(), orders, strict=True)
            )
            misfit = (value.squeeze(j) - functional.data(points)).abs().max()
            worst = max(worst, float(misfit) / float(scale) / size)
    return residual, worst


def _lines(problem: Problem) -> Iterator[GridAttempt]:
    data = snapshots(problem)
    seen: set[tuple[Bands, ...]] = set()
    for width in _WIDTHS:
        spectra = [pursue(d, axis, width=width) if d.shape[1] else _base(axis, width) for d, axis in zip(data, problem.axes, strict=True)]
        for name, bands in _candidates(problem, spectra, width):
            if bands not in seen:
                seen.add(bands)
                attempt = attempted(problem, name, bands)
                if attempt is not None:
                    yield attempt


def _candidates(
    problem: Problem, spectra: Sequence[Spectrum], width: float
) -> Iterator[tuple[str, tuple[Bands, ...]]]:
    if not any(s.broad for s in spectra):
        yield f"lines {width:g}", tuple(s.bands for s in spectra)
        if len(spectra) == 2:
            bands = _with_dispersion(problem, spectra, width)
            if bands != tuple(s.bands for s in spectra):
                yield f"dispersion {width:g}", bands
    yield "full", tuple(
        ((0.0, min(s.bands[-1][1], _FULL * axis.nyquist)),)
        for s, axis in zip(spectra, problem.axes, strict=True)
    )


def _with_dispersion(
    problem: Problem, spectra: Sequence[Spectrum], width: float
) -> tuple[Bands, ...]:
    lines = [s.lines for s in spectra]
    result = []
    for j, (axis, spectrum) in enumerate(zip(problem.axes, spectra, strict=True)):
        more = [s for s in dispersion_lines(problem.symbol, lines, j) if 0 < s < axis.nyquist]
        half = width / axis.length
        around = [(max(s - half, 0.0), min(s + half, axis.nyquist)) for s in more]
        result.append(merged((*spectrum.bands, *around)))
    return tuple(result)


def _base(axis: Axis, width: float) -> Spectrum:
    return Spectrum(((0.0, max(width, 4.0) / axis.length),), (), 0.0, 0.0, False)


def _grown(problem: Problem, best: GridAttempt) -> Iterator[GridAttempt]:
    """Yield full bands whose top edges grow, one or all at a time, while that helps."""
    tops = [bands[-1][1] for bands in best.bands]
    limits = [_FULL * axis.nyquist for axis in problem.axes]
    score = best.score
    while any(top < limit for top, limit in zip(tops, limits, strict=True)):
        d = len(tops)
        choices = [tuple(range(d)), *((j,) for j in range(d))]
        better = None
        for grow in choices:
            new = [
                min(max(_GROWTH * t, t + 4 / a.length), limit) if j in grow else min(t, limit)
                for j, (t, limit, a) in enumerate(zip(tops, limits, problem.axes, strict=True))
            ]
            name = "full to " + " x ".join(f"{t:.3g}" for t in new)
            attempt = attempted(problem, name, [((0.0, t),) for t in new])
            if attempt is None:
                continue
            yield attempt
            if attempt.score < score:
                score, better = attempt.score, new
                break
        if better is None:
            return
        tops = better


def _ladder(problem: Problem) -> Iterator[GridAttempt]:
    """Yield full bands of given ranks with every test space."""
    d = len(problem.axes)
    spaces: list[list[TestSpace]] = [["galerkin"] * d, ["derivative"] * d]
    for choice in _product(_LADDER, d):
        bands = [
            ((0.0, max(4.0, (share * len(a.nodes) - 18) / 2) / a.length),)
            for share, a in zip(choice, problem.axes, strict=True)
        ]
        for space in spaces:
            attempt = attempted(problem, f"ladder {choice} {space[0]}", bands, space)
            if attempt is not None:
                yield attempt


def _product(values: Sequence[float], repeat: int) -> Iterator[tuple[float, ...]]:
    from itertools import product

    yield from product(values, repeat=repeat)
