"""Which frequencies a solution has, read off the data of its problem.

Bands are laid around the lines of a windowed periodogram until what is left of the data is
rounding or white noise. A band is flat, so a line has to be found to about one bin 1/L only.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .axis import Axis
from .features import Bands, merged

# What the fit may leave of data that are exact but for rounding.
EXACT = 1e-11
# Kaiser window: its side lobes lie below 1e-3, its main lobe ends at √(1 + (β/π)²) bins.
_BETA = 9.0
_LOBE = math.sqrt(1 + (_BETA / math.pi) ** 2)
# Half-width of a band in bins of 1/L; enough for one that has to end near Nyquist.
_BASE = 4.0
_ROUNDS, _PEAKS, _SMALLEST_PEAK = 40, 6, 1e-2
# A remainder up to so many times its own noise floor is white, if more bands do not reduce it to
# less than this share of what they would leave of noise.
_WHITE, _UNEXPLAINED = 1.3, 0.5
# A rest of known noise is so much larger than expected at most.
_EXPECTED = 1.1
# So many standard deviations may the level of noise fluctuate.
_FLUCTUATIONS = 3.0
# Share of the points above which bands are no lines any more.
_BROAD = 0.8


@dataclass(frozen=True)
class Spectrum:
    """Bands of one axis.

    Args:
        bands: intervals of frequency, cycles per length.
        lines: centres of the bands that were found, in the order of their finding.
        remainder: ‖data - fit‖ / ‖data‖.
        noise: standard deviation of the white noise in the data; 0 when they are exact.
        broad: whether the bands filled the axis before the data were explained.
    """

    bands: Bands
    lines: tuple[float, ...]
    remainder: float
    noise: float
    broad: bool


def pursue(
    data: Float[Tensor, "n q"],
    axis: Axis,
    *,
    width: float,
    weight: Callable[[Tensor], Tensor] | None = None,
    known_lines: Sequence[float] = (),
    known_noise: float = 0.0,
) -> Spectrum:
    """Return the bands that explain the columns of `data`.

    Args:
        data: snapshots on the nodes of the axis; scaled by the caller where they have scales.
        axis: the nodes, uniform.
        width: half-width κ of a band in bins of 1/L; 2 to 8.
        weight: by which the amplitude of a frequency in the data is multiplied to be its amplitude
            in the solution, 1 / |symbol|.
        known_lines: centres that are laid down first, such as the zeros of the symbol.
        known_noise: standard deviation of white noise in the data; 0 lets it be found.
    """
    lines = [line for line in known_lines if line < axis.nyquist]
    size = float(data.norm())
    fit = _Fit.of(data, axis, _bands(lines, width, axis))
    noise, broad = 0.0, False
    for _ in range(_ROUNDS):
        if fit.size <= max(EXACT * size, fit.expected(known_noise)):
            noise = known_noise
            break
        found = _peaks(fit.rest, axis, width, weight)
        broad = not found or fit.rank > _BROAD * len(data)
        if broad:
            break
        better = _Fit.of(data, axis, _bands([*lines, *found], width, axis))
        # What bands leave of few nodes is no test of whiteness: fewer of them leave more.
        while better.rank > _BROAD * len(data) and len(found) > 1:
            found = found[: len(found) // 2]
            better = _Fit.of(data, axis, _bands([*lines, *found], width, axis))
        if not known_noise and fit.is_white(better):
            noise = noise_floor(fit.rest)
            break
        lines, fit = lines + found, better
    if not broad:
        level = fit.level if noise else 0.0
        lines = _pruned(data, axis, lines, width, level, len(known_lines))
    remainder = fit.size / size if size else 0.0
    return Spectrum(_bands(lines, width, axis), tuple(lines), remainder, noise, broad)


@dataclass(frozen=True, eq=False)
class _Fit:
    """What bands leave of data, and the rank of the fit."""

    rest: Float[Tensor, "n q"]
    rank: int

    @classmethod
    def of(cls, data: Tensor, axis: Axis, bands: Bands) -> "_Fit":
        # The comb of the prior itself: another one could have teeth on lines that the prior lacks.
        left, values, _ = svd(axis.features(bands)(axis.nodes))
        left = left[:, values > 1e-12 * values[0]]
        rest = data - left @ (left.T @ data)
        # Twice: the first projection leaves rounding of the size of the data.
        return cls(rest - left @ (left.T @ rest), left.shape[1])

    @property
    def size(self) -> float:
        return float(self.rest.norm())

    @property
    def _free(self) -> int:
        return max(len(self.rest) - self.rank, 1)

    @property
    def level(self) -> float:
        """Standard deviation of the rest, were it white noise."""
        return self.size / self._count**0.5

    @property
    def _count(self) -> int:
        return self._free * self.rest.shape[1]

    def expected(self, noise: float) -> float:
        """Return the size of a rest that is white noise of this standard deviation."""
        return _EXPECTED * noise * self._count**0.5

    def is_noise(self, level: float) -> bool:
        """Return whether the rest is no more than noise of this level, but for its fluctuations."""
        return self.level <= level * (1 + _FLUCTUATIONS / (2 * self._count) ** 0.5)

    def is_white(self, better: "_Fit") -> bool:
        """Return whether the rest is flat, and more bands take no more of it than of any noise.

        Bands that leave next to no freedom would take anything.
        """
        flat = self.size <= _WHITE * noise_floor(self.rest) * self._count**0.5
        if better.rank > _BROAD * len(self.rest):
            return flat
        share = (better._free / self._free) ** 0.5
        return flat and better.size > _UNEXPLAINED * share * self.size


def noise_floor(rest: Float[Tensor, "n q"]) -> float:
    """Return the standard deviation of white noise that `rest` would be, from its high frequencies.

    The median of the periodogram over the top quarter of the frequencies, which lines that are
    left hardly touch; that of an exponential variable is ln 2 times its mean.
    """
    window = _window(len(rest), rest.device)
    power = torch.fft.rfft(window[:, None] * rest, dim=0).abs().square()
    top = power[-(len(power) // 4 + 1) : -1]
    return math.sqrt(float(top.median()) / (math.log(2) * float(window.square().sum())))


def periodogram(
    data: Float[Tensor, "n q"], step: float, *, padding: int = 8, beta: float = _BETA
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Return frequencies (cycles per length) and amplitudes of windowed, zero-padded data.

    Args:
        data: columns on uniform points.
        step: between the points.
        padding: times the points that the transform has.
        beta: of the Kaiser window; higher ones have lower side lobes and wider main lobes.
    """
    window = _window(len(data), data.device, beta)
    length = padding * len(data)
    amplitude = torch.fft.rfft(window[:, None] * data, n=length, dim=0).abs().square().sum(1).sqrt()
    frequencies = torch.fft.rfftfreq(length, step, dtype=data.dtype, device=data.device)
    return frequencies, amplitude / window.sum()


def _window(points: int, device: torch.device, beta: float = _BETA) -> Tensor:
    return torch.kaiser_window(
        points, periodic=False, beta=beta, dtype=torch.float64, device=device
    )


def _bands(lines: Sequence[float], width: float, axis: Axis) -> Bands:
    bin_width = 1 / axis.length
    base = (0.0, max(width, _BASE) * bin_width)
    around = [
        (max(s - width * bin_width, 0.0), min(s + width * bin_width, axis.nyquist)) for s in lines
    ]
    return merged((base, *around))


def _peaks(
    rest: Tensor, axis: Axis, width: float, weight: Callable[[Tensor], Tensor] | None
) -> list[float]:
    """Return the frequencies of the highest peaks, none within a lobe of a higher one."""
    frequencies, amplitude = periodogram(rest, float(axis.nodes[1] - axis.nodes[0]))
    if weight is not None:
        amplitude = amplitude * weight(frequencies)
    blanked = max(width, _LOBE) / axis.length
    found: list[float] = []
    smallest = _SMALLEST_PEAK * float(amplitude.max())
    while len(found) < _PEAKS and float(amplitude.max()) >= smallest > 0:
        found.append(float(frequencies[amplitude.argmax()]))
        amplitude = amplitude.masked_fill((frequencies - found[-1]).abs() < blanked, 0.0)
    return found


def _pruned(
    data: Tensor, axis: Axis, lines: list[float], width: float, level: float, kept: int
) -> list[float]:
    """Drop lines, the last found first, without which the data are explained but for noise."""
    exact = EXACT * float(data.norm())
    for index in range(len(lines) - 1, kept - 1, -1):
        fewer = lines[:index] + lines[index + 1 :]
        fit = _Fit.of(data, axis, _bands(fewer, width, axis))
        if fit.size <= exact or fit.is_noise(level):
            lines = fewer
    return lines


def svd(matrix: Float[Tensor, "n m"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the thin U, S, Vᵀ of a matrix; by QR iteration where divide and conquer fails."""
    try:
        return torch.linalg.svd(matrix, full_matrices=False)
    except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
        from scipy.linalg import svd as scipy_svd

        parts = scipy_svd(matrix.cpu().numpy(), full_matrices=False, lapack_driver="gesvd")
        left, values, right = (torch.from_numpy(p).to(matrix.device) for p in parts)
        return left, values, right
