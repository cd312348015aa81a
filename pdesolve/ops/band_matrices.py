"""Matrices of the truncated real Fourier transform along one axis, exact in float64.

Real waves instead of complex exponentials. For an axis other than the last, with h the largest
kept |k|, and for the last axis, of which modes 0 ... m are kept:

    other axes   [cos kx, k = 0 ... h; sin kx, k = 1 ... h]         x_i = 2π i / n
    last axis    [cos kx, k = 0 ... m; -sin kx, k = 0 ... m]        real and imaginary parts

Analysis divides by n, so coefficients are amplitudes. Synthesis evaluates the trigonometric
polynomial on any number of points: modes |k| > n/2 are dropped, and the Nyquist mode of an even
grid, of which only the cosine is seen there, stays a cosine.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_tensors: dict[tuple, Tensor] = {}


def analysis(points: int, highest: int, *, last: bool, like: Tensor) -> Tensor:
    """Matrix (waves, points) from values to amplitudes of the modes up to `highest`."""
    return _tensor("analysis", (points, highest, last), like)


def synthesis(points: int, highest: int, old_points: int, *, last: bool, like: Tensor) -> Tensor:
    """Matrix (points, waves) from amplitudes of a grid of `old_points` to values at `points`."""
    return _tensor("synthesis", (points, highest, old_points, last), like)


def _tensor(kind: str, sizes: tuple, like: Tensor) -> Tensor:
    # Rounded once, from float64: sines made in float32 would cost a digit.
    key = (kind, sizes, like.dtype, like.device)
    if key in _tensors:
        return _tensors[key]
    array = _analysis(*sizes) if kind == "analysis" else _synthesis(*sizes)
    tensor = torch.tensor(array, device=like.device).to(like.dtype)
    if not torch.compiler.is_compiling():
        _tensors[key] = tensor
    return tensor


@lru_cache
def _analysis(points: int, highest: int, last: bool) -> np.ndarray:
    return _waves(points, highest, last) / points


@lru_cache
def _synthesis(points: int, highest: int, old_points: int, last: bool) -> np.ndarray:
    waves = _waves(points, highest, last)
    cosines, sines = waves[: highest + 1], waves[-highest - 1 :] if last else waves[highest + 1 :]
    k = np.arange(highest + 1)
    seen = 2 * k <= points
    nyquist = 2 * k == old_points
    if last:
        # Interior modes stand for two conjugate ones.
        cosines = cosines * np.where((k == 0) | nyquist, 1, 2)[:, None]
        sines = 2 * sines
    cosines = cosines * seen[:, None]
    sines = sines * (seen & ~nyquist)[-len(sines) :, None]
    return np.concatenate([cosines, sines]).T.copy()


def _waves(points: int, highest: int, last: bool) -> np.ndarray:
    k, i = np.arange(highest + 1), np.arange(points)
    # Integers modulo n keep the argument small, and the wave exact, however large k i is.
    phase = 2 * np.pi * (np.outer(k, i) % points) / points
    cosines, sines = np.cos(phase), np.sin(phase)
    # sin πi is zero: rounding would let a grid see its Nyquist sine.
    sines[2 * k == points] = 0
    return np.concatenate([cosines, -sines if last else sines[1:]])
