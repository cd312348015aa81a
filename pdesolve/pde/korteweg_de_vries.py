"""The Korteweg-de Vries equation: u_t + 6 u u_x + u_xxx = f, waves on shallow water."""

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
class KortewegDeVries:
    """Height u of a wave.

        u_t + nonlinearity u u_x + dispersion u_xxx = f

    It wants u at the initial time and, with a positive dispersion, one condition at the left end
    and two at the right one.

    Args:
        nonlinearity: 6 in the usual scaling, not 0.
        dispersion: 1 in the usual scaling, > 0.
    """

    nonlinearity: float = 6.0
    dispersion: float = 1.0

    inputs: ClassVar[tuple[str, ...]] = ("source",)
    outputs: ClassVar[tuple[str, ...]] = ("height",)
    units: ClassVar[dict[str, str]] = {"source": "1", "height": "1"}

    def __post_init__(self):
        if not self.nonlinearity or not self.dispersion > 0:
            raise ValueError(
                f"nonlinearity is {self.nonlinearity} and dispersion {self.dispersion}, expected "
                "a number that is not 0 and one > 0"
            )

    def residual(self, d: Derivative, height, *, source) -> Tensor:
        """Return u_t + a u u_x + b u_xxx - f on a space-time grid, orders (time, x)."""
        steepening = self.nonlinearity * d(height, (0, 0)) * d(height, (0, 1))
        spreading = self.dispersion * d(height, (0, 3))
        return d(height, (1, 0)) + steepening + spreading - d(source, (0, 0))

    def soliton(
        self, time: Float[Tensor, "*n"], x: Float[Tensor, "*n"], *, speed: float, start: float = 0.0
    ) -> Float[Tensor, "*n"]:
        """Return a wave that keeps its shape, (3c/a) sech²(√(c/b) (x - x_0 - ct) / 2).

        Args:
            time, x: coordinates.
            speed: c > 0.
            start: x_0, its crest at time 0.

        Raises:
            ValueError: the speed is not positive.
        """
        if not speed > 0:
            raise ValueError(f"speed is {speed}, expected a number > 0")
        argument = math.sqrt(speed / self.dispersion) * (x - start - speed * time) / 2
        return 3 * speed / self.nonlinearity / torch.cosh(argument) ** 2
