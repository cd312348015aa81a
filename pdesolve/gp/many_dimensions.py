"""Problems in two and three dimensions: candidates, and the best one by its residual."""

from collections.abc import Iterator, Sequence
from itertools import product

from .attempt import GOOD, Attempt
from .axis import Axis
from .dispersion import dispersion_lines
from .features import Bands, merged
from .kronecker_form import KroneckerForm
from .misfit import misfits
from .nonlinear import solve_newton, solve_separable
from .problem import Problem
from .snapshots import snapshots
from .spectrum import Spectrum, pursue
from .tensor_basis import OrthonormalBasis, TestSpace, automatic_test_spaces

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


def solve_many_dimensions(problem: Problem) -> tuple[Attempt, list[Attempt]]:
    """Return the best solution and all that were tried, with as few of them as do."""
    tried: list[Attempt] = []
    best: Attempt | None = None
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
) -> Attempt | None:
    """Return the solution with these bands, None where they are too many for the nodes."""
    bases = [
        OrthonormalBasis.of(axis.features(b), axis)
        for axis, b in zip(problem.axes, bands, strict=True)
    ]
    marched = "derivative" in _spaces(problem) and not problem.linear
    limit = _EVOLUTION_RANK if marched else _RANK
    if any(b.rank > limit * len(a.nodes) for b, a in zip(bases, problem.axes, strict=True)):
        return None
    return solved_with(problem, name, bases, tuple(bands), spaces)


def solved_with(
    problem: Problem,
    name: str,
    bases: Sequence[OrthonormalBasis],
    bands: tuple[Bands, ...] = (),
    spaces: Sequence[TestSpace] | None = None,
) -> Attempt:
    """Return the solution in these bases."""
    form = KroneckerForm(problem, bases, _spaces(problem) if spaces is None else spaces)
    mixed = any(sum(n > 0 for n in orders) > 1 for orders in problem.jet.orders)
    outcome = solve_separable(form) if problem.constant and not mixed else solve_newton(form)
    expansion = form.expansion(outcome.core)
    return Attempt(name, expansion, bands, *misfits(problem, expansion))


def _spaces(problem: Problem) -> list[TestSpace]:
    return automatic_test_spaces(problem.functionals, len(problem.axes))


def _lines(problem: Problem) -> Iterator[Attempt]:
    data = snapshots(problem)
    seen: set[tuple[Bands, ...]] = set()
    for width in _WIDTHS:
        spectra = [
            pursue(d, axis, width=width) if d.shape[1] else _base(axis, width)
            for d, axis in zip(data, problem.axes, strict=True)
        ]
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
    tops = [
        min(s.bands[-1][1], _FULL * a.nyquist) for s, a in zip(spectra, problem.axes, strict=True)
    ]
    yield "full", tuple(((0.0, top),) for top in tops)
    if any(s.broad for s in spectra):
        fitting = [min(top, _top(0.75, axis)) for top, axis in zip(tops, problem.axes, strict=True)]
        yield "full that fits", tuple(((0.0, top),) for top in fitting)


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


def _grown(problem: Problem, best: Attempt) -> Iterator[Attempt]:
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


def _ladder(problem: Problem) -> Iterator[Attempt]:
    """Yield full bands of given ranks with every test space."""
    d = len(problem.axes)
    # Constants have no derivative to be tested with: only where conditions hold them.
    held = [any(f.axis == j for f in problem.functionals) for j in range(d)]
    spaces: list[list[TestSpace]] = [
        ["galerkin"] * d, ["derivative" if h else "galerkin" for h in held]
    ]  # fmt: skip
    for choice in _shares(d):
        bands = [((0.0, _top(s, a)),) for s, a in zip(choice, problem.axes, strict=True)]
        for space in spaces:
            attempt = attempted(problem, f"ladder {choice} {space[0]}", bands, space)
            if attempt is not None:
                yield attempt


def _shares(dims: int) -> Iterator[tuple[float, ...]]:
    """Yield functions per node of each axis; in three dimensions the same on all."""
    yield from product(_LADDER, repeat=dims) if dims < 3 else ((s,) * dims for s in _LADDER)


def _top(share: float, axis: Axis) -> float:
    """Return where a full band ends that has so many functions for each node."""
    # 2LF functions that a band can tell apart, and about 18 tails before rounding.
    return max(4.0, (share * len(axis.nodes) - 18) / 2) / axis.length
