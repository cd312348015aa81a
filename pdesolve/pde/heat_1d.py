"""The heat equation on a line: u_t = k u_xx + f."""

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
class Heat1d:
    """Temperature u of a rod.

        u_t - k u_xx = f

    It wants u at the initial time and one condition at each end.

    Args:
        diffusivity: k, length²/time, > 0.
    """

    diffusivity: float = 1.0

    inputs: ClassVar[tuple[str, ...]] = ("source",)
    outputs: ClassVar[tuple[str, ...]] = ("temperature",)
    units: ClassVar[dict[str, str]] = {"source": "1", "temperature": "1"}

    def __post_init__(self):
        if not self.diffusivity > 0:
            raise ValueError(f"diffusivity is {self.diffusivity}, expected a number > 0")

    @property
    def linear_part(self) -> dict[tuple[int, ...], float]:
        """The operator on u as {(time, x) orders: coefficient}."""
        return {(1, 0): 1.0, (0, 2): -self.diffusivity}

    def residual(self, d: Derivative, temperature, *, source) -> Tensor:
        """Return u_t - k u_xx - f on a space-time grid, orders (time, x)."""
        spreading = self.diffusivity * d(temperature, (0, 2))
        return d(temperature, (1, 0)) - spreading - d(source, (0, 0))

    def exact(
        self,
        time: Float[Tensor, "*n"],
        x: Float[Tensor, "*n"],
        *,
        mode: int = 1,
        length: float = 1.0,
    ) -> Float[Tensor, "*n"]:
        """Return a mode that decays between cold ends, exp(-k κ² t) sin κx, κ = π mode / length."""
        kappa = math.pi * mode / length
        return torch.exp(-self.diffusivity * kappa**2 * time) * torch.sin(kappa * x)
