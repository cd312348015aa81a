"""Mean, spread and range of fields, gathered sample by sample in float64."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from .schema import COUNT, STATISTICS_KEYS, statistics_key


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations and range of each component.

    Two sets merge exactly (Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115):

        δ = mean_b - mean_a,   mean = mean_a + δ n_b / n,   S = S_a + S_b + δ² n_a n_b / n

    so the spread of a large mean loses nothing, as a sum of squares would.
    """

    count: int
    mean: np.ndarray
    squares: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Moments":
        """Gather values of shape (points, components), at least one point."""
        values = np.asarray(values, np.float64)
        mean = values.mean(0)
        squares = np.square(values - mean).sum(0)
        return cls(len(values), mean, squares, values.min(0), values.max(0))

    def merged(self, other: "Moments") -> "Moments":
        """Return the moments of both sets together."""
        count = self.count + other.count
        shift = other.mean - self.mean
        return Moments(
            count,
            self.mean + shift * other.count / count,
            self.squares + other.squares + shift**2 * self.count * other.count / count,
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
        )

    def repeated(self, times: int) -> "Moments":
        """Return the moments of the same values, each of them so many times."""
        return replace(self, count=self.count * times, squares=self.squares * times)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation over all points (divided by n)."""
        return np.sqrt(self.squares / self.count)

    @property
    def rms(self) -> np.ndarray:
        """Root mean square."""
        return np.sqrt(self.squares / self.count + self.mean**2)


def merge(parts: Iterable[Moments]) -> Moments:
    """Merge in the given order; the same order gives the same bits."""
    return reduce(Moments.merged, parts)


def field_moments(
    sample: np.ndarray, dims: int, *, time_varying: bool, mask: np.ndarray | None = None
) -> dict[str, Moments]:
    """Moments of one stored sample, and under "delta" those of its steps in time.

    Args:
        sample: shape ([time,] *grid [, component]).
        dims: number of spatial axes.
        time_varying: whether the first axis is time.
        mask: True where points count, shape (*grid).
    """
    frames = sample if time_varying else sample[None]
    frames = frames.reshape(*frames.shape[: dims + 1], -1)
    inside = np.ones(frames.shape[1 : dims + 1], bool) if mask is None else mask
    moments = {"": Moments.of(frames[:, inside].reshape(-1, frames.shape[-1]))}
    if len(frames) > 1:
        steps = np.diff(frames.astype(np.float64), axis=0)
        moments["delta"] = Moments.of(steps[:, inside].reshape(-1, frames.shape[-1]))
    return moments


def plain(moments: dict[str, Moments], order: int) -> dict[str, Any]:
    """The Well's keys (mean, std, rms and their *_delta) with min, max and count beside them."""
    values: dict[str, Any] = {}
    for suffix, one in moments.items():
        named = dict(
            zip(
                STATISTICS_KEYS,
                (one.mean, one.std, one.rms, one.minimum, one.maximum),
                strict=True,
            )
        )
        values[statistics_key(COUNT, suffix)] = one.count
        for key, value in named.items():
            values[statistics_key(key, suffix)] = value.tolist() if order else float(value[0])
    return values


def restored(values: Mapping[str, Any]) -> dict[str, Moments]:
    """Moments from what `plain` made of them, to merge the statistics of several files."""
    moments = {}
    for suffix in ("", "delta"):
        if statistics_key(COUNT, suffix) in values:
            mean, std, least, most = (
                np.atleast_1d(values[statistics_key(key, suffix)])
                for key in ("mean", "std", "min", "max")
            )
            count = int(values[statistics_key(COUNT, suffix)])
            moments[suffix] = Moments(count, mean, std**2 * count, least, most)
    return moments
