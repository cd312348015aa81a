"""What a solve returns, and how it can fail."""

from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor

from .grid import Grid


@dataclass(frozen=True)
class Solution:
    """A solved field and how good the solve was.

    Args:
        value: the field, shape (*batch, c, *grid), physical units.
        grid: where its points are.
        converged: per sample, shape (*batch).
        stats: figures per sample by name, each of shape (*batch): iterations, residual, ...
        message: one sentence; when a sample did not converge, why and what to try.
        std: standard deviation of the value where the method knows one, same shape as value.
    """

    value: Float[Tensor, "..."]
    grid: Grid
    converged: Bool[Tensor, "*batch"]
    stats: dict[str, Tensor] = field(default_factory=dict)
    message: str = "converged"
    std: Float[Tensor, "..."] | None = None

    def checked(self, *, raise_on_failure: bool = True) -> "Solution":
        """Return the solution itself, or raise if a sample did not converge.

        Raises:
            ConvergenceError: a sample did not converge and raise_on_failure is True.
        """
        if raise_on_failure and not bool(self.converged.all()):
            raise ConvergenceError(self)
        return self


class ConvergenceError(ArithmeticError):
    """A solve that did not converge; `solution` holds what was reached."""

    def __init__(self, solution: Solution):
        failed = int((~solution.converged).sum())
        count = solution.converged.numel()
        super().__init__(f"{failed} of {count} samples did not converge: {solution.message}")
        self.solution = solution
