"""Kernels that are sums of cosines: one cosine, a comb, a band, a periodic kernel."""

import math
import warnings
from collections.abc import Sequence

import scipy.special
import torch
from jaxtyping import Float
from torch import Tensor

from . import derivatives
from .lines import Lines
from .stationary import StationaryKernel

# Share of the Nyquist frequency up to which a grid resolves a frequency safely.
RESOLVED = 0.9


class FrequencyWarning(UserWarning):
    """Frequencies above what the grid resolves were lowered."""


class WaveKernel(StationaryKernel):
    """What combs and mixtures share: learned frequencies below 0.9 Nyquist, positive weights.

    Args:
        frequencies: in cycles per unit of x; learned. Their sign does not matter.
        weights: > 0, one a frequency; default 1/Q each.
        nyquist: highest frequency of the grid, (N - 1)/(2L), or None for no limit.
        active_dims: the column of x that a gpytorch model hands to the kernel.

    Raises:
        ValueError: weights are not positive or do not fit.
    """

    raw_frequencies: torch.nn.Parameter

    def __init__(
        self,
        frequencies: Float[Tensor, " q"] | Sequence[float],
        weights: Float[Tensor, " q"] | Sequence[float] | None,
        nyquist: float | None,
        active_dims: tuple[int, ...] | None,
    ):
        super().__init__(active_dims=active_dims)
        frequencies = torch.as_tensor(frequencies, dtype=torch.float64)
        if weights is None:
            weights = torch.full_like(frequencies, 1 / frequencies.numel())
        weights = torch.as_tensor(weights, dtype=torch.float64)
        if weights.shape != frequencies.shape or frequencies.ndim != 1:
            raise ValueError(
                f"weights have shape {tuple(weights.shape)} and frequencies "
                f"{tuple(frequencies.shape)}, expected two lists of one length"
            )
        if nyquist is not None:
            _warn_above(float(frequencies.abs().max()), nyquist)
        self.nyquist = nyquist
        self.register_parameter("raw_frequencies", torch.nn.Parameter(frequencies.clone()))
        self.register_positive("weights", weights)

    @property
    def frequencies(self) -> Tensor:
        """Centres of the spectrum, none above 0.9 Nyquist."""
        if self.nyquist is None:
            return self.raw_frequencies
        top = RESOLVED * self.nyquist
        return self.raw_frequencies.clamp(-top, top)

    @property
    def weights(self) -> Tensor:
        """Weights of the frequencies."""
        return self.positive("weights")


class Comb(WaveKernel):
    """k(z) = Σ_q w_q cos(2π s_q z): a process of finitely many waves.

    Args:
        frequencies: s_q in cycles per unit of x; learned. Their sign does not matter.
        weights: w_q > 0, one a frequency; default 1/Q each.
        nyquist: highest frequency of the grid, (N - 1)/(2L); frequencies are kept below 0.9 of it.
        active_dims: the column of x that a gpytorch model hands to the kernel.
    """

    def __init__(
        self,
        frequencies: Float[Tensor, " q"] | Sequence[float],
        weights: Float[Tensor, " q"] | Sequence[float] | None = None,
        *,
        nyquist: float | None = None,
        active_dims: tuple[int, ...] | None = None,
    ):
        super().__init__(frequencies, weights, nyquist, active_dims)

    @property
    def smoothness(self) -> float:
        """Every derivative exists."""
        return math.inf

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Quarter turns."""
        waves = derivatives.cosine(z[..., None], self.frequencies, order)
        return [wave @ self.weights for wave in waves]

    def lines(self, length: float) -> Lines:
        """Its own frequencies and weights."""
        return Lines(self.frequencies.abs(), self.weights)


class Cosine(StationaryKernel):
    """k(z) = cos(2π frequency z).

    Args:
        frequency: > 0, cycles per unit of x; learned.
        active_dims: the column of x that a gpytorch model hands to the kernel.
    """

    def __init__(self, frequency: float, *, active_dims: tuple[int, ...] | None = None):
        super().__init__(active_dims=active_dims)
        self.register_positive("frequency", frequency)

    @property
    def frequency(self) -> Tensor:
        """Cycles per unit of x."""
        return self.positive("frequency")

    @property
    def smoothness(self) -> float:
        """Every derivative exists."""
        return math.inf

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Quarter turns."""
        return derivatives.cosine(z, self.frequency, order)

    def lines(self, length: float) -> Lines:
        """One line."""
        return Lines(self.frequency[None], torch.ones_like(self.frequency)[None])


class Periodic(StationaryKernel):
    """k(z) = exp(-2 sin²(πz/period) / lengthscale²).

    Args:
        period: > 0, in units of x.
        lengthscale: > 0, without unit: the process has about 1/lengthscale harmonics.
        active_dims: the column of x that a gpytorch model hands to the kernel.
    """

    def __init__(
        self,
        period: float = 1.0,
        lengthscale: float = 1.0,
        *,
        active_dims: tuple[int, ...] | None = None,
    ):
        super().__init__(active_dims=active_dims)
        self.register_positive("period", period)
        self.register_positive("lengthscale", lengthscale)

    @property
    def period(self) -> Tensor:
        """Distance after which the kernel repeats."""
        return self.positive("period")

    @property
    def lengthscale(self) -> Tensor:
        """Width of the bumps, without unit."""
        return self.positive("lengthscale")

    @property
    def smoothness(self) -> float:
        """Every derivative exists."""
        return math.inf

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Leibniz on k' = h' k."""
        return derivatives.periodic(z, self.period, self.lengthscale, order)

    def lines(self, length: float) -> Lines:
        """Harmonics k/period with weights 2 I_k(c) exp(-c), c = 1/lengthscale².

        No gradient flows to the parameters.
        """
        c = float(self.lengthscale.detach()) ** -2
        # I_k(c) falls below 1e-24 of I_0(c) at about √(110 c), or 30 where c is small.
        k = torch.arange(30 + math.ceil(math.sqrt(120 * c)), dtype=torch.float64)
        weights = 2 * torch.from_numpy(scipy.special.ive(k.numpy(), c))
        weights[0] /= 2
        kept = weights > 0
        period = self.period.detach()
        weights = weights[kept].to(period)
        return Lines(k[kept].to(period) / period, weights)


def band_limited(
    bands: Sequence[tuple[float, float]],
    length: float,
    *,
    gamma: float = 2.17,
    nyquist: float | None = None,
    active_dims: tuple[int, ...] | None = None,
) -> Comb:
    """Return the comb that equals a flat spectrum on bands for points within one interval.

        teeth s_k = k/(gamma length),  floor(lo gamma length) <= k <= ceil(hi gamma length)

    All teeth are multiples of one spacing, so overlapping bands share theirs; weights are equal and
    sum to 1.

    Args:
        bands: (lo, hi) in cycles per unit of x, 0 <= lo <= hi.
        length: of the interval, > 0.
        gamma: how many teeth a bin of 1/length has. Good values 1.8 to 3, not an integer nor 2.5,
            whose teeth may fall on a test problem's own frequencies. 1.25 fails: the comb's period
            shows.
        nyquist: highest frequency of the grid; bands are cut at 0.9 of it.

    Raises:
        ValueError: no band is given, or one is reversed or negative.
    """
    if not bands or any(not 0 <= low <= high for low, high in bands):
        raise ValueError(f"bands are {list(bands)}, expected at least one (lo, hi), 0 <= lo <= hi")
    if nyquist is not None:
        _warn_above(max(high for _, high in bands), nyquist)
        top = RESOLVED * nyquist
        bands = [(low, min(high, top)) for low, high in bands if low < top] or [(0.0, top)]
    scale = gamma * length
    teeth: set[int] = set()
    for low, high in bands:
        teeth.update(range(math.floor(low * scale), math.ceil(high * scale) + 1))
    frequencies = torch.tensor(sorted(teeth), dtype=torch.float64) / scale
    return Comb(frequencies, active_dims=active_dims)


def _warn_above(frequency: float, nyquist: float) -> None:
    if frequency <= RESOLVED * nyquist:
        return
    warnings.warn(
        f"frequencies reach {frequency:.4g} on a grid of Nyquist frequency {nyquist:.4g}; they are "
        f"lowered to {RESOLVED * nyquist:.4g}: use a finer grid to keep them",
        FrequencyWarning,
        stacklevel=3,
    )
