"""Anderson acceleration of a fixed-point iteration x <- x + f(x), each sample by itself."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Directions whose size in the triangular factor is below this share of the largest say nothing.
_CUT = 1e-10


class Anderson:
    """Mixes the iterates that it has seen, so that their updates nearly cancel.

        x' = x + f - (ΔX + ΔF) γ,    γ = argmin ‖f - ΔF γ‖₂

    ΔX and ΔF are differences of successive iterates and updates. On linear problems it is as good
    as GMRES while the memory holds all iterates; with less it may stall where the plain
    iteration grows before it falls.

    Args:
        memory: how many differences are kept; at least the number of iterations is advised.

    Source: Walker and Ni 2011, doi:10.1137/10078356X.
    """

    def __init__(self, memory: int):
        self._memory = memory
        self._last: tuple[Tensor, Tensor] | None = None
        self._moves: list[Tensor] = []
        self._changes: list[Tensor] = []

    def next(
        self, x: Float[Tensor, "b *shape"], update: Float[Tensor, "b *shape"]
    ) -> Float[Tensor, "b *shape"]:
        """Return the next iterate from the present one and its update f(x)."""
        if self._last is not None and self._memory:
            self._moves = [*self._moves, x - self._last[0]][-self._memory :]
            self._changes = [*self._changes, update - self._last[1]][-self._memory :]
        self._last = x, update
        if not self._changes:
            return x + update
        changes = torch.stack([change.flatten(1) for change in self._changes], 2)
        moves = torch.stack([move.flatten(1) for move in self._moves], 2)
        # The normal equations would square a condition that is large already.
        q, r = torch.linalg.qr(changes)
        weights = torch.linalg.pinv(r, rtol=_CUT) @ (q.mT @ update.flatten(1)[..., None])
        return x + update - ((moves + changes) @ weights)[..., 0].reshape(x.shape)

    def keep(self, rows: Int[Tensor, " r"]) -> None:
        """Go on with these samples only."""
        self._moves = [move[rows] for move in self._moves]
        self._changes = [change[rows] for change in self._changes]
        if self._last is not None:
            self._last = self._last[0][rows], self._last[1][rows]
