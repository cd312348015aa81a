"""A solution with one prior, one of the candidates of a solve."""

import math
from dataclasses import dataclass

from .features import Bands
from .slabs import Solved

# Score below which nothing better is looked for.
GOOD = 1e-9


@dataclass(frozen=True, eq=False)
class Attempt:
    """A candidate.

    Args:
        name: of the prior.
        expansion: the solution.
        bands: frequencies of the prior of each axis; () for a kernel that has none.
        residual: between the nodes, relative to the largest term of the equation.
        boundary: misfit of the boundary data, relative to the solution.
        cutoff: share of the largest singular value below which directions are left out; 0 where
            none are.
        contracted: whether the iteration of a nonlinear problem came to its end.
    """

    name: str
    expansion: Solved
    bands: tuple[Bands, ...]
    residual: float
    boundary: float
    cutoff: float = 0.0
    contracted: bool = True

    @property
    def score(self) -> float:
        """What candidates are compared by; a failed one is infinite."""
        total = self.residual + self.boundary
        return total if math.isfinite(total) else math.inf

    @property
    def order(self) -> tuple[bool, float]:
        """What is least for the best candidate: one whose iteration arrived goes first."""
        return not self.contracted, self.score

    def figures(self) -> dict[str, float | str]:
        """Return a line of the table of candidates."""
        return {
            "prior": self.name,
            "functions": self.expansion.functions,
            "cutoff": self.cutoff,
            "residual": self.residual,
            "boundary": self.boundary,
        }
