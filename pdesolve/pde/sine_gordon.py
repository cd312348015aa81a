"""The sine-Gordon equation: u_tt = u_xx - sin u + f, whose kinks and breathers are solitons."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

# d(field, orders): any differentiation rule; orders are (time, x).
Derivative = Callable[[Tensor, tuple[int, ...]], Tensor]


@dataclass(frozen=True)
class SineGordon:
    """Phase u on a line.

        u_tt - u_xx + sin u = f

    It wants u and u_t at the initial time, and one condition at each end.
    """

    inputs: ClassVar[tuple[str, ...]] = ("source",)
    outputs: ClassVar[tuple[str, ...]] = ("phase",)
    units: ClassVar[dict[str, str]] = {"source": "1", "phase": "1"}

    def residual(self, d: Derivative, phase, *, source) -> Tensor:
        """Return u_tt - u_xx + sin u - f on a space-time grid, orders (time, x)."""
        waves = d(phase, (2, 0)) - d(phase, (0, 2))
        return waves + torch.sin(d(phase, (0, 0))) - d(source, (0, 0))

    def kink(
        self, time: Float[Tensor, "*n"], x: Float[Tensor, "*n"], *, speed: float, start: float = 0.0
    ) -> Float[Tensor, "*n"]:
        """Return a step of 2π that travels, 4 arctan exp(γ(x - x_0 - vt)), γ = 1 / √(1 - v²).

        Args:
            time, x: coordinates.
            speed: v, |v| < 1.
            start: x_0, its middle at time 0.

        Raises:
            ValueError: the speed is not below that of light, 1.
        """
        if not abs(speed) < 1:
            raise ValueError(f"speed is {speed}, expected |speed| < 1: no kink is faster")
        steepness = 1 / math.sqrt(1 - speed**2)
        return 4 * torch.atan(torch.exp(steepness * (x - start - speed * time)))

    def breather(
        self, time: Float[Tensor, "*n"], x: Float[Tensor, "*n"], *, frequency: float
    ) -> Float[Tensor, "*n"]:
        """Return a standing pulse, 4 arctan(√(1 - ω²) cos ωt / (ω cosh √(1 - ω²) x)).

        Raises:
            ValueError: ω is not between 0 and 1.
        """
        if not 0 < frequency < 1:
            raise ValueError(f"frequency is {frequency}, expected a number between 0 and 1")
        width = math.sqrt(1 - frequency**2)
        pulse = torch.cos(frequency * time) / torch.cosh(width * x)
        return 4 * torch.atan(width / frequency * pulse)
