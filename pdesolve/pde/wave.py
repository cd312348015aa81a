"""The wave equation on a line: u_tt = c² u_xx + f."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

# d(field, orders): any differentiation rule; orders are (time, x).
Derivative = Callable[[Tensor, tuple[int, ...]], Tensor]


@dataclass(frozen=True)
class Wave1d:
    """Displacement u of a string.

        u_tt - c² u_xx = f

    It wants u and u_t at the initial time, and one condition at each end of the string.

    Args:
        speed: c, length/time, > 0.
    """

    speed: float = 1.0

    inputs: ClassVar[tuple[str, ...]] = ("source",)
    outputs: ClassVar[tuple[str, ...]] = ("displacement",)
    units: ClassVar[dict[str, str]] = {"source": "1", "displacement": "1"}

    def __post_init__(self):
        if not self.speed > 0:
            raise ValueError(f"speed is {self.speed}, expected a number > 0")

    @property
    def linear_part(self) -> dict[tuple[int, ...], float]:
        """The operator on u as {(time, x) orders: coefficient}."""
        return {(2, 0): 1.0, (0, 2): -(self.speed**2)}

    def residual(self, d: Derivative, displacement, *, source) -> Tensor:
        """Return u_tt - c² u_xx - f on a space-time grid, orders (time, x)."""
        curvature = d(displacement, (0, 2))
        return d(displacement, (2, 0)) - self.speed**2 * curvature - d(source, (0, 0))

    def exact(
        self,
        time: Float[Tensor, "*n"],
        x: Float[Tensor, "*n"],
        *,
        shape: Callable[[Tensor], Tensor],
    ) -> Float[Tensor, "*n"]:
        """Return d'Alembert's solution of a string let go at rest, (g(x - ct) + g(x + ct)) / 2.

        Args:
            time, x: coordinates.
            shape: g, the displacement at time 0 on the whole line.
        """
        return (shape(x - self.speed * time) + shape(x + self.speed * time)) / 2
