"""The Euler-Bernoulli beam at rest: EI u'''' = f."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

# d(field, orders): any differentiation rule, one order an axis.
Derivative = Callable[[Tensor, tuple[int, ...]], Tensor]


@dataclass(frozen=True)
class Beam:
    """Deflection u of a beam under a load f.

        EI u'''' = f

    Two conditions at each end: u and u' where it is clamped, u and u'' where it is supported.

    Args:
        stiffness: EI, force · length², > 0.
    """

    stiffness: float = 1.0

    inputs: ClassVar[tuple[str, ...]] = ("source",)
    outputs: ClassVar[tuple[str, ...]] = ("deflection",)
    units: ClassVar[dict[str, str]] = {"source": "1", "deflection": "1"}

    def __post_init__(self):
        if not self.stiffness > 0:
            raise ValueError(f"stiffness is {self.stiffness}, expected a number > 0")

    @property
    def linear_part(self) -> dict[tuple[int, ...], float]:
        """The operator on u as {derivative orders: coefficient}."""
        return {(4,): self.stiffness}

    def residual(self, d: Derivative, deflection, *, source) -> Tensor:
        """Return EI u'''' - f at every point; reads u and f only through d."""
        return self.stiffness * d(deflection, (4,)) - d(source, (0,))

    def exact(
        self, x: Float[Tensor, "*n"], *, length: float = 1.0, load: float = 1.0
    ) -> Float[Tensor, "*n"]:
        """Return the deflection of a clamped beam under a constant load, x²(L - x)² f / 24EI."""
        return load / (24 * self.stiffness) * (x * (length - x)) ** 2
