"""What a training step receives: inputs, targets and where they live."""

from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from .grid import Grid


@dataclass(frozen=True)
class Batch:
    """Samples side by side, in physical units.

    Args:
        x: input fields, shape (b, c_in, *grid), or values at sensors or points (b, c_in, m).
        y: target fields, shape (b, c_out, *grid), or values at points (b, c_out, n).
        grid: where the points are; None where they are scattered.
        condition: parameters of each sample, shape (b, p), lead time first if there is one.
        condition_names: their p names.
        mask: 1 inside the domain and 0 outside, shape (b, 1 or c_out, *grid).
        points: where y is, if it lies at scattered points: (n, d) for all samples or (b, n, d).

    Losses, operators and metrics see the tensors, never the Batch.
    """

    x: Float[Tensor, "b c_in *sensors"]
    y: Float[Tensor, "b c_out *grid"]
    grid: Grid | None
    condition: Float[Tensor, "b p"] | None = None
    condition_names: tuple[str, ...] = ()
    mask: Float[Tensor, "b c_mask *grid"] | None = None
    points: Float[Tensor, "... n d"] | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def uniform_grid(self) -> Grid:
        """The grid, for what cannot do without one.

        Raises:
            ValueError: the points are scattered.
        """
        if self.grid is None:
            raise ValueError(
                "the samples lie at scattered points, expected a uniform grid: transforms, "
                "differences and pictures need one"
            )
        return self.grid

    def to(self, *args: Any, **kwargs: Any) -> "Batch":
        """Move or cast every tensor, with the arguments of `Tensor.to`."""
        tensors = {name: getattr(self, name) for name in ("x", "y", "condition", "mask", "points")}
        moved = {k: None if t is None else t.to(*args, **kwargs) for k, t in tensors.items()}
        return replace(self, **moved)
