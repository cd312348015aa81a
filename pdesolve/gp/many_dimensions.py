"""Problems in two and three dimensions: candidates, and the best one by its residual."""

import math
from collections.abc import Iterator, Sequence
from itertools import product

from torch import Tensor

from .attempt import GOOD, Attempt
from .axis import Axis
from .continuation import continued
from .dispersion import dispersion_lines
from .expansion import Expansion
from .features import Bands, merged
from .kronecker_form import KroneckerForm
from .misfit import misfits
from .nonlinear import solve_newton, solve_separable
from .problem import Problem
from .slabs import LEAST, is_evolution, march
from .snapshots import snapshots
from .spectrum import Spectrum, pursue
from .tensor_basis import (
    OrthonormalBasis,
    TestSpace,
    automatic_test_spaces,
    other_test_spaces,
)

_WIDTHS = (4.0, 2.0, 8.0)
_FULL = 0.8
# Functions per node above which a candidate is refused; lower for a nonlinear evolution, whose
# Newton iteration diverges there.
_RANK, _EVOLUTION_RANK = 0.8, 0.65
_LADDER = (0.25, 0.4, 0.55)
_GROWTH = 1.5
_BAD = 1e-6
# A slab that is so many times worse than the first one is looked at more closely.
_AS_GOOD = 10.0
# A residual below it is rounding for a solve on a grid, which ranks nothing.
PERFECT = 1e-10


def solve_many_dimensions(problem: Problem) -> tuple[Attempt, list[Attempt]]:
    """Return the best solution and all that were tried, with as few of them as do.

    Raises:
        ValueError: the axes have too few nodes for the bands of any candidate.
    """
    tried: list[Attempt] = []
    stages = [_lines, _ladder] if problem.linear else [_lines, _ladder, _harder]
    for stage in stages:
        for attempt in stage(problem):
            tried.append(attempt)
            if attempt.score < PERFECT:
                return attempt, tried
        best = min(tried, key=lambda attempt: attempt.order, default=None)
        growing = best is not None and best.contracted and stage is not _harder
        if best is not None and growing and not best.score < GOOD:
            for attempt in _grown(problem, best):
                tried.append(attempt)
                best = min(best, attempt, key=lambda attempt: attempt.order)
                if best.score < GOOD:
                    break
        if best is not None and best.score < (GOOD if stage is _lines else _BAD):
            return best, tried
    if not tried:
        raise ValueError(
            f"grid has {problem.grid.shape} points, too few for a band of any candidate: refine it"
        )
    return min(tried, key=lambda attempt: attempt.order), tried


def _harder(problem: Problem) -> Iterator[Attempt]:
    """Yield what else there is for a nonlinear problem whose iteration does not contract."""
    yield from _marched(problem) if is_evolution(problem) else _continued(problem)


def _continued(problem: Problem) -> Iterator[Attempt]:
    """Yield the solution at the end of a path from zero, in the bands that the data have."""
    for name, bands in _found(problem, _WIDTHS[0]):
        expansion = _end_of_path(problem, _bases(problem, bands))
        if expansion is not None:
            yield Attempt(f"{name}, continued", expansion, bands, *misfits(problem, expansion))
            return


def _end_of_path(problem: Problem, bases: Sequence[OrthonormalBasis]) -> Expansion | None:
    spaces = automatic_test_spaces(problem.functionals, len(bases))

    def solve(load: float, start: Tensor) -> tuple[Tensor, bool]:
        outcome = solve_newton(KroneckerForm(problem, bases, spaces, load=load), start)
        return outcome.free, outcome.contracted

    form = KroneckerForm(problem, bases, spaces)
    free = continued(solve, form.start())
    return None if free is None else form.expansion(form.core(free))


def _marched(problem: Problem) -> Iterator[Attempt]:
    """Yield the evolution in more and more slabs, while that helps."""
    count, score = 2, math.inf
    while len(problem.axes[0].nodes) // count >= LEAST:
        slabs = march(problem, count, _SlabSolver())
        if slabs is not None:
            bands = tuple(((0.0, basis.top / (2 * math.pi)),) for basis in slabs.bases)
            attempt = Attempt(f"{count} slabs", slabs, bands, *misfits(problem, slabs))
            yield attempt
            if not attempt.score < score:
                return
            score = attempt.score
        count *= 2


class _SlabSolver:
    """Solves one slab after another, each first as the last one was."""

    def __init__(self):
        self._choice: tuple[float, ...] | None = None
        self._score = 0.0

    def __call__(self, problem: Problem) -> Expansion | None:
        """Return the solution of a slab, None if no iteration contracts."""
        choices = list(_shares(len(problem.axes)))
        if self._choice is not None:
            choices = [self._choice, *(c for c in choices if c != self._choice)]
        found: dict[tuple[float, ...], Attempt] = {}
        for choice in choices:
            attempt = _of_shares(problem, choice)
            if attempt is None or not attempt.contracted:
                continue
            found[choice] = attempt
            if attempt.score < max(GOOD, _AS_GOOD * self._score):
                break
        if not found:
            return None
        self._choice = min(found, key=lambda choice: found[choice].score)
        best = found[self._choice]
        self._score = self._score or best.score
        assert isinstance(best.expansion, Expansion)
        return best.expansion


def attempted(
    problem: Problem, name: str, bands: Sequence[Bands], spaces: Sequence[TestSpace] | None = None
) -> Attempt | None:
    """Return the solution with these bands, None where they are too many for the nodes."""
    bases = _bases(problem, bands)
    limit = _RANK if problem.linear or not is_evolution(problem) else _EVOLUTION_RANK
    if any(b.rank > limit * len(a.nodes) for b, a in zip(bases, problem.axes, strict=True)):
        return None
    return solved_with(problem, name, bases, tuple(bands), spaces)


def _bases(problem: Problem, bands: Sequence[Bands]) -> list[OrthonormalBasis]:
    return [
        OrthonormalBasis.of(axis.features(b), axis)
        for axis, b in zip(problem.axes, bands, strict=True)
    ]


def solved_with(
    problem: Problem,
    name: str,
    bases: Sequence[OrthonormalBasis],
    bands: tuple[Bands, ...] = (),
    spaces: Sequence[TestSpace] | None = None,
) -> Attempt:
    """Return the solution in these bases.

    Without `spaces` the automatic ones, and others as long as a nonlinear iteration in them does
    not contract.
    """
    own, d = automatic_test_spaces(problem.functionals, len(problem.axes)), len(problem.axes)
    choices = [own if spaces is None else spaces]
    if spaces is None and not problem.linear and "derivative" in own:
        choices += other_test_spaces(problem.functionals, d)
    mixed = any(sum(n > 0 for n in orders) > 1 for orders in problem.jet.orders)
    tried = []
    for choice in choices:
        form = KroneckerForm(problem, bases, choice)
        outcome = solve_separable(form) if problem.constant and not mixed else solve_newton(form)
        expansion = form.expansion(outcome.core)
        contracted = problem.linear or outcome.contracted
        figures = misfits(problem, expansion)
        tried.append(Attempt(name, expansion, bands, *figures, contracted=contracted))
        if contracted:
            return tried[-1]
    return min(tried, key=lambda attempt: attempt.order)


def _lines(problem: Problem) -> Iterator[Attempt]:
    seen: set[tuple[Bands, ...]] = set()
    for width in _WIDTHS:
        contracted = []
        for name, bands in _found(problem, width):
            if bands not in seen:
                seen.add(bands)
                attempt = attempted(problem, name, bands)
                if attempt is not None:
                    contracted.append(attempt.contracted)
                    yield attempt
        if contracted and not any(contracted):
            return


def _found(problem: Problem, width: float) -> Iterator[tuple[str, tuple[Bands, ...]]]:
    """Yield the bands of the data, of one half-width."""
    spectra = [
        pursue(d, axis, width=width) if d.shape[1] else _base(axis, width)
        for d, axis in zip(snapshots(problem), problem.axes, strict=True)
    ]
    yield from _candidates(problem, spectra, width)


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
    """Yield full bands of given ranks, those of a linear problem with every test space."""
    d = len(problem.axes)
    spaces = [None] if not problem.linear else [
        automatic_test_spaces(problem.functionals, d), *other_test_spaces(problem.functionals, d)
    ]  # fmt: skip
    for choice in _shares(d):
        for space in spaces:
            attempt = _of_shares(problem, choice, space)
            if attempt is not None:
                yield attempt


def _of_shares(
    problem: Problem, shares: tuple[float, ...], spaces: Sequence[TestSpace] | None = None
) -> Attempt | None:
    bands = [((0.0, _top(s, a)),) for s, a in zip(shares, problem.axes, strict=True)]
    name = "full with " + " x ".join(f"{share:g}" for share in shares) + " functions a node"
    return attempted(problem, name, bands, spaces)


def _shares(dims: int) -> Iterator[tuple[float, ...]]:
    """Yield functions per node of each axis; in three dimensions the same on all."""
    yield from product(_LADDER, repeat=dims) if dims < 3 else ((s,) * dims for s in _LADDER)


def _top(share: float, axis: Axis) -> float:
    """Return where a full band ends that has so many functions for each node."""
    # 2LF functions that a band can tell apart, and about 18 tails before rounding; below 4 bins
    # fewer of these, 4LF + 3 functions in all.
    rank = share * len(axis.nodes)
    return max((rank - 18) / 2, min(4.0, (rank - 3) / 4), 0.5) / axis.length
