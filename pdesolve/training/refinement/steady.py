"""What a linear steady equation knows about the error of a predicted field."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ...grid import Grid


@runtime_checkable
class LinearProblem(Protocol):
    """A linear equation that can be solved for its error: `pde.Darcy`, `Poisson`, `Helmholtz2d`."""

    def correction(self, solution: Tensor, *, grid: Grid, **given: Tensor) -> Tensor: ...

    def relative_residual(self, solution: Tensor, *, grid: Grid, **given: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Steady:
    """Fields that should solve A u = f. Axis 1 of the states has one entry.

    The error solves A e = f - A u: one preconditioned solve, which `correction` of the equation
    makes as exactly as it cares to, takes the place of the integration in time.

    Args:
        equation: with a correction.
        grid: of the fields.
        given: fields that the equation takes by name, (b, *grid).
    """

    equation: LinearProblem
    grid: Grid
    given: Mapping[str, Tensor]

    def kept(self, states: Float[Tensor, "b 1 *grid"]) -> Float[Tensor, "b 1 *grid"]:
        """Return the states: a linear equation drops nothing."""
        return states

    def defects(self, states: Float[Tensor, "b 1 *grid"]) -> Float[Tensor, "b 1 *grid"]:
        """Return the correction of the states."""
        return self.equation.correction(states[:, 0], grid=self.grid, **self.given)[:, None]

    def errors(
        self, states: Float[Tensor, "b 1 *grid"], defects: Float[Tensor, "b 1 *grid"]
    ) -> Float[Tensor, "b 1 *grid"]:
        """Return the defects, which are the errors already."""
        del states
        return defects

    def residual(
        self, states: Float[Tensor, "b 1 *grid"], defects: Float[Tensor, "b 1 *grid"]
    ) -> Float[Tensor, " b"]:
        """Return the equation's relative residual."""
        del defects
        return self.equation.relative_residual(states[:, 0], grid=self.grid, **self.given)

    def finer(self) -> None:
        """Return None: there is one estimator."""

    def rows(self, rows: Tensor) -> "Steady":
        """Return the same for some samples of the batch."""
        return replace(self, given={name: value[rows] for name, value in self.given.items()})
