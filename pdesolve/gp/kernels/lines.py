"""Line spectra: kernels that are sums of cosines on an interval, and their features.

    k(z) = Σ_q w_q cos(2π s_q z)  for |z| <= length,     k(x - x') = Σ_a φ_a(x) φ_a(x')
    φ = √w_q cos(2π s_q (x - m)),  √w_q sin(2π s_q (x - m))

A solve in features never forms the kernel matrix, whose condition is the square of theirs.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..features import Features

# Relative weight of a line that no derivative up to the eighth lifts above rounding.
_NEGLIGIBLE = 1e-36


@dataclass(frozen=True)
class Lines:
    """Frequencies s_q >= 0 (cycles per length) and weights w_q > 0 of a kernel's spectrum."""

    frequencies: Float[Tensor, " q"]
    weights: Float[Tensor, " q"]

    def __add__(self, other: "Lines") -> "Lines":
        """Return the spectrum of the sum of two kernels."""
        frequencies = torch.cat([self.frequencies, other.frequencies])
        return Lines(frequencies, torch.cat([self.weights, other.weights]))

    def __mul__(self, other: "Lines") -> "Lines":
        """Return the spectrum of the product: cos a cos b = (cos(a + b) + cos(a - b)) / 2."""
        a, b = self.frequencies[:, None], other.frequencies
        half = self.weights[:, None] * other.weights / 2
        frequencies = torch.stack([a + b, (a - b).abs()]).flatten()
        weights = torch.stack([half, half]).flatten()
        kept = weights > _NEGLIGIBLE * weights.max()
        return Lines(frequencies[kept], weights[kept])

    def features(
        self, x: Float[Tensor, " n"], order: int, *, middle: float
    ) -> Float[Tensor, "n r"]:
        """Return the derivatives ∂^order φ_a(x), cosines before sines.

        Args:
            x: positions.
            order: >= 0; each derivative is a quarter turn and a factor 2πs, exact.
            middle: m, the middle of the interval: phases stay small.
        """
        return Features(self.frequencies, middle, self.weights.sqrt())(x, order)


def gaussian_lines(lengthscale: Tensor, length: float) -> Lines:
    """Lines of exp(-z²/(2 lengthscale²)) on |z| <= length, exact to rounding.

    The trapezoid rule of the spectral density with spacing Δ repeats the kernel at distances 1/Δ;
    these lie nine lengthscales beyond the interval, where the kernel is 1e-18.
    """
    scale = float(lengthscale.detach())
    spacing = 1 / (length + 9 * scale)
    # The density has fallen to exp(-60) of its top: derivatives up to the eighth are exact as well.
    count = math.ceil(math.sqrt(30) / (math.pi * scale * spacing))
    k = torch.arange(count + 1, dtype=lengthscale.dtype, device=lengthscale.device)
    density = torch.exp(-2 * (math.pi * k * spacing * lengthscale) ** 2)
    weights = 2 * spacing * math.sqrt(2 * math.pi) * lengthscale * density
    halved = torch.where(k == 0, 0.5, 1.0).to(weights.dtype)
    return Lines(k * spacing, weights * halved)
