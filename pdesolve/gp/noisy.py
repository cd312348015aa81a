"""One-dimensional problems whose source is noisy: the level is found, the prior learned.

Noise in f at low frequencies is what a solution suffers from most, since inverting the operator
amplifies it. So the base band is kept only where the evidence asks for it; otherwise only those of
its functions stay that the operator sends to zero, which the boundary data determine.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from .axis import Axis
from .expansion import Expansion
from .features import Bands, Features
from .observations import problem_rows
from .posterior import Learned, learned
from .problem import Problem
from .spectrum import Spectrum, svd

# How much larger the logarithm of the evidence must be for a band to be believed in.
_BELIEVED = 3.0
# Boundary data are exact: their noise, relative to that of the source in the solution.
_EXACT = 1e-2
# A prior so much wider than the solution constrains nothing.
_WIDE = 1e3
_NEGLIGIBLE = 1e-10


class Joined:
    """Functions of several kinds side by side: features of bands, then combinations of others."""

    def __init__(self, lines: Features | None, base: Features, transform: Float[Tensor, "m o"]):
        self._lines, self._base, self._transform = lines, base, transform

    @property
    def top(self) -> float:
        """Highest angular frequency."""
        return max(self._base.top, self._lines.top if self._lines else 0.0)

    def __call__(self, x: Float[Tensor, " n"], order: int = 0) -> Float[Tensor, "n k"]:
        """Return the order-th derivative of every function at x."""
        combined = self._base(x, order) @ self._transform
        return combined if self._lines is None else torch.cat([self._lines(x, order), combined], 1)


def solve_noisy(problem: Problem, spectrum: Spectrum) -> tuple[Learned, Expansion, Bands]:
    """Return the learned posterior of a linear problem, its mean, and the bands that it kept.

    Args:
        problem: linear, one axis.
        spectrum: bands of its source and the noise in it.
    """
    base_band, *others = spectrum.bands
    best = _learn(problem, spectrum, others, None)
    # Lines that are peaks of the noise explain nothing; the likeliest ones were found first.
    for band in sorted(others, key=lambda b: _rank(b, spectrum), reverse=True):
        fewer = [other for other in others if other != band]
        without = _learn(problem, spectrum, fewer, None)
        if without.posterior.log_evidence > best.posterior.log_evidence - _BELIEVED:
            best, others = without, fewer
    full = _learn(problem, spectrum, others, base_band)
    believed = full.posterior.log_evidence > best.posterior.log_evidence + _BELIEVED
    best = full if believed else best
    bands = (base_band, *others) if believed else tuple(others)
    basis = best.posterior.basis
    return best, Expansion([basis], best.posterior.mean), bands  # pyright: ignore[reportArgumentType]


def _rank(band: tuple[float, float], spectrum: Spectrum) -> int:
    """Return when the first line of a band was found."""
    return min(
        (i for i, line in enumerate(spectrum.lines) if band[0] <= line <= band[1]), default=0
    )


def _homogeneous(problem: Problem, base: Features) -> Float[Tensor, "m o"]:
    """Return combinations of the base band, as many as the order, that the operator annihilates."""
    nodes = problem.axes[0].nodes
    _, sizes, right = svd(base(nodes))
    kept = sizes > _NEGLIGIBLE * sizes[0]
    whitening = right[kept].T / sizes[kept] * len(nodes) ** 0.5
    applied = sum(c * base(nodes, n) for (n,), c in problem.symbol.items()) @ whitening
    return whitening @ svd(applied)[2][-problem.jet.highest(0) :].T


def _learn(
    problem: Problem, spectrum: Spectrum, others: list, base_band: tuple[float, float] | None
) -> Learned:
    """Return the posterior with a scale for each band; without a base band its null functions."""
    axis = problem.axes[0]
    base = axis.features((spectrum.bands[0],))
    transform = _homogeneous(problem, base)
    groups = [n for n, band in enumerate(others) for _ in range(_columns(axis, band))]
    if base_band is not None:
        transform = torch.cat([torch.eye(len(transform)).to(transform), transform], 1)
        groups += [len(others)] * len(transform)
    bands = len(set(groups))
    groups += [bands] * problem.jet.highest(0)
    basis = Joined(axis.features(tuple(others)) if others else None, base, transform)
    numbers = torch.tensor(groups, device=problem.device)
    rows = problem_rows(problem, basis, spectrum.noise, 1.0)
    nodes = len(axis.nodes)
    matrix, data = rows.matrix[:nodes], rows.data[:nodes]
    start = [float(data.norm() / matrix[:, numbers == g].norm()) for g in range(bands)]
    size = max([*start, float(data.abs().max()) * axis.length ** problem.jet.highest(0)])
    share = spectrum.noise / float(data.abs().max())
    noise = rows.noise.clone()
    noise[nodes:] = _EXACT * share * min([*start, size])
    scales = [*start, _WIDE * size]
    return learned(replace(rows, noise=noise), basis, numbers, scales, free=[bands], noisy=nodes)


def _columns(axis: Axis, band: tuple[float, float]) -> int:
    return axis.features((band,))(axis.nodes[:1]).shape[1]
