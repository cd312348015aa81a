"""One-dimensional problems: candidates, and the one whose residual between the nodes is least."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .axis import Axis
from .features import Bands, Features
from .problem import Problem
from .spectrum import Spectrum, periodogram, pursue
from .weight_space import SHARPEST, Collocation, solve_linear, solve_nonlinear

# Score below which nothing better is looked for.
GOOD = 1e-9
_WIDTHS = (2.0, 4.0, 8.0)
_CUTOFFS = tuple(10.0**-k for k in range(12, 3, -2))
# The full band ends here at the latest, in Nyquist frequencies; beyond it aliases are taken in.
_FULL, _ENVELOPES = 0.8, (0.6, 0.75, 0.9)
# A wider band has to bring the score down by this to be widened again.
_WORTHWHILE = 0.7


@dataclass(frozen=True, eq=False)
class Attempt:
    """A solution with one prior.

    Args:
        name: of the prior.
        features: of the prior.
        coefficients: posterior mean.
        cutoff: share of the largest singular value below which directions are left out.
        residual: between the nodes, relative to the largest term of the equation.
        boundary: misfit of the boundary data, relative to the solution.
    """

    name: str
    features: Features
    coefficients: Float[Tensor, " m"]
    cutoff: float
    residual: float
    boundary: float

    @property
    def score(self) -> float:
        """What candidates are compared by; a failed one is infinite."""
        total = self.residual + self.boundary
        return total if math.isfinite(total) else math.inf


def solve_one_dimension(problem: Problem) -> tuple[Attempt, list[Attempt]]:
    """Return the best solution and all that were tried, with as few of them as do."""
    tried: list[Attempt] = []
    for stage in _stages(problem):
        for index, attempt in enumerate(stage):
            tried.append(attempt)
            # The first stage is cheap, and its best is often several digits better than good.
            if attempt.score < GOOD and len(tried) > index + 1:
                break
        best = min(tried, key=lambda attempt: attempt.score)
        if best.score < GOOD:
            return best, tried
    for attempt in _grown(problem, best):
        tried.append(attempt)
        if attempt.score > _WORTHWHILE * best.score:
            break
        best = attempt
        if best.score < GOOD:
            break
    return best, tried


def _stages(problem: Problem) -> Iterator[Iterator[Attempt]]:
    """Yield solutions, the likely ones first: lines, cut-offs, finer data, envelopes."""
    axis = problem.axes[0]
    spectra = [spectrum_of(problem, axis, width) for width in _WIDTHS]
    tried: set[tuple[float, ...]] = set()
    candidates = []
    for name, features in _flat(axis, spectra):
        key = tuple(features.frequencies.tolist())
        if key not in tried:
            tried.add(key)
            candidates.append(Solver(problem, name, features))
    yield (solver(SHARPEST) for solver in candidates)
    yield (solver(cutoff) for solver in candidates for cutoff in _CUTOFFS)
    finer = Axis(torch.cat([axis.nodes, axis.midpoints]).sort()[0], axis.length, axis.periodic, axis.spacing)
    spectra = [spectrum_of(problem, finer, width) for width in _WIDTHS]
    again = [Solver(problem, f"{name}, midpoints", features) for name, features in _flat(axis, spectra)]
    enveloped = [
        Solver(problem, f"envelope {share:g}", _enveloped(problem, axis, share * axis.nyquist))
        for share in _ENVELOPES
    ]
    every = [*again, *enveloped]
    yield (solver(cutoff) for solver in every for cutoff in (SHARPEST, *_CUTOFFS))


def _grown(problem: Problem, attempt: Attempt) -> Iterator[Attempt]:
    """Yield solutions with a full band whose top edge grows by a quarter at a time."""
    axis = problem.axes[0]
    top = attempt.features.top / (2 * math.pi)
    while top < 0.9 * axis.nyquist:
        top = min(max(1.25 * top, top + 4 / axis.length), 0.9 * axis.nyquist)
        yield Solver(problem, f"full to {top:.3g}", axis.features(((0.0, top),)))(attempt.cutoff)


class Solver:
    """One problem with one prior, for any cut-off."""

    def __init__(self, problem: Problem, name: str, features: Features):
        axis = problem.axes[0]
        self._problem, self._name, self._features = problem, name, features
        known = problem.known([axis.nodes])
        self._collocation = Collocation(
            torch.stack([features(axis.nodes, order) for (order,) in problem.jet.orders]),
            torch.stack([f.row(features, problem.device) for f in problem.functionals])
            if problem.functionals
            else axis.nodes.new_zeros(0, features(axis.nodes[:1]).shape[1]),
            axis.nodes.new_tensor([float(f.data([axis.nodes])) for f in problem.functionals]),
            lambda jet: problem.jet.value(jet, known),
            lambda jet: problem.jet.linearised(jet, known),
        )
        self._solved = solve_linear(self._collocation) if problem.linear else None

    def __call__(self, cutoff: float) -> Attempt:
        """Return the solution with this cut-off, and how well it holds between the nodes."""
        if self._solved is not None:
            coefficients = self._solved(cutoff)
        else:
            coefficients = solve_nonlinear(self._collocation, cutoff)
        residual, boundary = self._misfits(coefficients)
        return Attempt(self._name, self._features, coefficients, cutoff, residual, boundary)

    def _misfits(self, c: Tensor) -> tuple[float, float]:
        problem, features = self._problem, self._features
        points = [problem.axes[0].midpoints]
        known = problem.known(points)
        jet = torch.stack([features(points[0], order) @ c for (order,) in problem.jet.orders])
        residual = problem.jet.value(jet, known)
        terms = problem.jet.linearised(jet, known) * jet
        largest = max(float(problem.source(points).norm()), float(terms.norm(dim=1).max()))
        size = float((features(problem.axes[0].nodes) @ c).abs().max())
        misfit = 0.0
        for row, value, functional in zip(
            self._collocation.conditions, self._collocation.values, problem.functionals, strict=True
        ):
            scale = max(size * max(features.top, 1.0) ** functional.order, 1e-300)
            misfit = max(misfit, abs(float(row @ c - value)) / scale)
        return float(residual.norm()) / max(largest, 1e-300), misfit


def spectrum_of(problem: Problem, axis: Axis, width: float) -> Spectrum:
    """Return the bands of the source and of the zeros of the symbol."""
    order = problem.jet.highest(0)
    coefficients = np.zeros(order + 1, complex)
    for (n,), c in problem.symbol.items():
        coefficients[n] = c * (2j * math.pi) ** n
    least = abs(coefficients[order]) / axis.length**order

    def weight(s: Tensor) -> Tensor:
        values = np.polyval(coefficients[::-1], s.cpu().numpy())
        return s.new_tensor(1 / np.maximum(np.abs(values), least))

    zeros = [
        float(z.real)
        for z in np.roots(coefficients[::-1])
        if z.real > 1e-9 / axis.length and abs(z.imag) <= 1e-6 * abs(z.real)
    ]
    data = problem.source([axis.nodes])[:, None]
    return pursue(data, axis, width=width, weight=weight, known_lines=zeros)


def _flat(axis: Axis, spectra: list[Spectrum]) -> Iterator[tuple[str, Features]]:
    for width, spectrum in zip(_WIDTHS, spectra, strict=True):
        if not spectrum.broad:
            yield f"lines {width:g}", axis.features(_within(spectrum.bands, axis))
    for spectrum in spectra:
        top = min(spectrum.bands[-1][1], _FULL * axis.nyquist)
        yield "full", axis.features(((0.0, top),))


def _within(bands: Bands, axis: Axis) -> Bands:
    return tuple((low, min(high, axis.nyquist)) for low, high in bands if low < axis.nyquist)


def _enveloped(problem: Problem, axis: Axis, top: float) -> Features:
    """Return the full band, its weights the root of the falling envelope of the periodogram."""
    features = axis.features(((0.0, top),))
    frequencies, amplitude = periodogram(problem.source([axis.nodes])[:, None], float(axis.nodes[1]))
    symbol = sum(
        c * (2j * math.pi * frequencies.to(torch.complex128)) ** n for (n,), c in problem.symbol.items()
    )
    order = problem.jet.highest(0)
    least = abs(problem.symbol[(order,)]) * (2 * math.pi / axis.length) ** order
    amplitude = amplitude / symbol.abs().clamp_min(least)
    envelope = amplitude.flip(0).cummax(0).values.flip(0)
    at = torch.searchsorted(frequencies, features.frequencies).clamp_max(len(envelope) - 1)
    weights = (envelope[at] / envelope[0].clamp_min(1e-300)).clamp_min(1e-14).sqrt()
    return Features(features.frequencies, features.centre, weights)
