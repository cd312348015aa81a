"""Priors of one-dimensional problems that are worth trying, from the spectrum of their data."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .axis import Axis
from .expansion import Basis
from .features import Bands
from .problem import Problem
from .spectrum import Spectrum, periodogram, pursue

# Half-widths of bands in bins of 1/L, the most reliable first.
WIDTHS = (4.0, 2.0, 8.0)
# The full band ends here at the latest, in Nyquist frequencies; beyond it aliases are taken in.
_FULL, _ENVELOPES = 0.8, (0.6, 0.75, 0.9)
# A weight of the envelope below this share of the largest would be rounding.
_LEAST_WEIGHT = 1e-7
# Window whose side lobes lie below what a periodogram gives as weights, their floor, and the bins
# that weigh fully whatever it says.
_DEEP, _LEAST_LINE, _BASE = 20.0, 1e-9, 4.0


@dataclass(frozen=True, eq=False)
class Prior:
    """Features with a name, and the bands that they fill."""

    name: str
    features: Basis
    bands: Bands


def band_priors(problem: Problem, axis: Axis, suffix: str = "") -> list[Prior]:
    """Return flat bands around lines, and flat bands from zero to the highest line, no two alike.

    Args:
        problem: whose source is read.
        axis: nodes on which it is read; those of the problem or finer ones.
        suffix: ends the names.
    """
    spectra = [spectrum_of(problem, axis, width) for width in WIDTHS]
    named = [
        (f"lines {width:g}", spectrum.bands)
        for width, spectrum in zip(WIDTHS, spectra, strict=True)
        if not spectrum.broad
    ]
    tops = [min(spectrum.bands[-1][1], _FULL * axis.nyquist) for spectrum in spectra]
    named += [(f"full to {top:.4g}", ((0.0, top),)) for top in tops]
    priors: dict[tuple[float, ...], Prior] = {}
    for name, bands in named:
        features = axis.features(bands)
        key = tuple(features.frequencies.tolist())
        priors.setdefault(key, Prior(name + suffix, features, bands))
    return list(priors.values())


def full_prior(axis: Axis, top: float) -> Prior:
    """Return the flat band from zero to a frequency."""
    bands = ((0.0, top),)
    return Prior(f"full to {top:.4g}", axis.features(bands), bands)


def envelope_priors(problem: Problem) -> Iterator[Prior]:
    """Yield full bands whose weights follow the falling envelope of the solution's periodogram.

    For solutions that no band holds; a flat prior lets high frequencies overfit them.
    """
    axis = problem.axes[0]
    data = problem.source([axis.nodes])[:, None]
    frequencies, amplitude = periodogram(data, float(axis.nodes[1] - axis.nodes[0]))
    amplitude = amplitude * _weight(problem, axis)(frequencies)
    envelope = amplitude.flip(0).cummax(0).values.flip(0)
    for share in _ENVELOPES:
        bands = ((0.0, share * axis.nyquist),)
        teeth = axis.features(bands).frequencies
        at = torch.searchsorted(frequencies, teeth).clamp_max(len(envelope) - 1)
        weights = (envelope[at] / envelope[0].clamp_min(1e-300)).sqrt().clamp_min(_LEAST_WEIGHT)
        yield Prior(f"envelope to {share:g} Nyquist", axis.features(bands, weights), bands)


def periodogram_prior(problem: Problem) -> Prior:
    """Return nearly all frequencies, weighted by the periodogram of the solution.

    For harmonics whose lines are many and far apart: bands around them would fill the axis, and an
    envelope would let the gaps between them overfit.
    """
    axis = problem.axes[0]
    frequencies, amplitude = periodogram(
        problem.source([axis.nodes])[:, None], float(axis.nodes[1] - axis.nodes[0]), beta=_DEEP
    )
    amplitude = amplitude * _weight(problem, axis)(frequencies)
    # The largest within a bin, since a tooth may fall between a line and its lobe.
    bins = 2 * int(1 / (axis.length * float(frequencies[1]))) + 1
    widened = torch.nn.functional.max_pool1d(amplitude[None], bins, stride=1, padding=bins // 2)[0]
    bands = ((0.0, _ENVELOPES[-1] * axis.nyquist),)
    teeth = axis.features(bands).frequencies
    at = torch.searchsorted(frequencies, teeth).clamp_max(len(widened) - 1)
    weights = (widened[at] / widened.max().clamp_min(1e-300)).clamp_min(_LEAST_LINE)
    # Homogeneous solutions lie in no data.
    weights[teeth * axis.length <= _BASE] = 1.0
    return Prior("periodogram", axis.features(bands, weights), bands)


def spectrum_of(problem: Problem, axis: Axis, width: float, noise: float = 0.0) -> Spectrum:
    """Return the bands of the source, of known noise if not 0, and of the zeros of the symbol."""
    zeros = [
        float(z.real)
        for z in np.roots(_symbol(problem)[::-1])
        if z.real > 1e-9 / axis.length and abs(z.imag) <= 1e-6 * abs(z.real)
    ]
    return pursue(
        problem.source([axis.nodes])[:, None], axis,
        width=width, weight=_weight(problem, axis), known_lines=zeros, known_noise=noise,
    )  # fmt: skip


def highest_line(spectra: Sequence[Spectrum]) -> float:
    """Return the highest frequency that was found in any of them, cycles per length."""
    return max((line for spectrum in spectra for line in spectrum.lines), default=0.0)


def _symbol(problem: Problem) -> np.ndarray:
    """Return the coefficients of the symbol as a polynomial in cycles per length."""
    coefficients = np.zeros(problem.jet.highest(0) + 1, complex)
    for (n,), c in problem.symbol.items():
        coefficients[n] = c * (2j * math.pi) ** n
    return coefficients


def _weight(problem: Problem, axis: Axis):
    """Return 1 / |symbol|, which turns an amplitude of f into one of u, bounded near its zeros."""
    symbol = _symbol(problem)
    least = abs(symbol[-1]) / axis.length ** (len(symbol) - 1)

    def weight(frequencies: Tensor) -> Tensor:
        values = np.abs(np.polyval(symbol[::-1], frequencies.cpu().numpy()))
        return frequencies.new_tensor(1 / np.maximum(values, least))

    return weight
