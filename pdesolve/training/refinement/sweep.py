"""Refinement by adding the estimated error, again and again, without labels or gradients."""

from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...ops.anderson import Anderson

# A sweep that leaves more than this share of the estimate asks for a better estimator.
_SLOW = 0.7


@runtime_checkable
class ErrorModel(Protocol):
    """What an equation knows about errors: see `Evolution` and `Steady`."""

    def kept(self, states: Tensor) -> Tensor: ...
    def defects(self, states: Tensor) -> Tensor: ...
    def errors(self, states: Tensor, defects: Tensor) -> Tensor: ...
    def residual(self, states: Tensor, defects: Tensor) -> Tensor: ...
    def finer(self) -> "ErrorModel | None": ...
    def rows(self, rows: Tensor) -> "ErrorModel": ...


@dataclass(frozen=True)
class Iterate:
    """States and what is known about them.

    Args:
        states, defects, errors: (b, n, *grid).
        estimate: ‖errors‖ / ‖states + errors‖ of each sample over all steps, (b,): relative to
            what the truth seems to be.
        slices: the same of each step, (b, n).
    """

    states: Float[Tensor, "b n *grid"]
    defects: Float[Tensor, "b n *grid"]
    errors: Float[Tensor, "b n *grid"]
    estimate: Float[Tensor, " b"]
    slices: Float[Tensor, "b n"]

    @property
    def error(self) -> Float[Tensor, " b"]:
        """Size of the errors, by which iterates are compared: a relative one is bounded."""
        return self.errors.flatten(1).norm(dim=1)

    def rows(self, rows: Int[Tensor, " r"] | Bool[Tensor, " b"]) -> "Iterate":
        """Return some samples."""
        return Iterate(*(getattr(self, one.name)[rows] for one in fields(self)))

    def replaced(self, rows: Int[Tensor, " r"], new: "Iterate") -> "Iterate":
        """Return this with other values for some samples."""
        return Iterate(
            *(
                getattr(self, one.name).index_copy(0, rows, getattr(new, one.name))
                for one in fields(self)
            )
        )


def judged(model: ErrorModel, states: Float[Tensor, "b n *grid"]) -> Iterate:
    """Return states with their defects and their estimated error.

    What the equation's solver drops of the states is an error too: no solution has it.
    """
    kept = model.kept(states)
    return _estimated(model, states, kept, model.defects(kept))


def _estimated(model: ErrorModel, states: Tensor, kept: Tensor, defects: Tensor) -> Iterate:
    errors = model.errors(kept, defects) + (kept - states)
    size = (states + errors).flatten(2).norm(dim=2)
    error = errors.flatten(2).norm(dim=2)
    return Iterate(states, defects, errors, error.norm(dim=1) / size.norm(dim=1), error / size)


@dataclass(frozen=True)
class Swept:
    """What a refinement found.

    Args:
        start: the prediction, judged by the estimator that judged the best iterate.
        best: the iterate of the smallest estimated error, the start itself if none is smaller.
        iterations: how many were made of each sample.
    """

    start: Iterate
    best: Iterate
    iterations: Int[Tensor, " b"]


def sweep(
    model: ErrorModel,
    states: Float[Tensor, "b n *grid"],
    *,
    tolerance: float | None,
    iterations: int,
    memory: int | None = None,
) -> Swept:
    """Return the best of some sweeps  h <- h + e(h),  mixed by Anderson's rule.

    A sample stops at its tolerance, or when its numbers are no longer finite. Where a sweep leaves
    more than 0.7 of an estimate all samples go on from their best iterate with the next finer
    estimator, which judges that iterate and the prediction again: estimates of different
    estimators are never compared.

    Args:
        model: of the equation.
        states: the prediction.
        tolerance: of the estimate; None makes all iterations.
        iterations: at most so many.
        memory: of Anderson's rule; None remembers all. Without a memory each plain sweep makes one
            more step exact, so short trajectories are exact after as many sweeps as they have.
    """
    start = best = judged(model, states)
    count = torch.zeros(len(states), dtype=torch.int64, device=states.device)
    rows = _open(start.estimate, tolerance).nonzero()[:, 0]
    memory = iterations if memory is None else memory
    own, current, mixing = model.rows(rows), start.rows(rows), Anderson(memory)
    for done in range(1, iterations + 1 if len(rows) else 1):
        new = judged(own, mixing.next(current.states, current.errors))
        count[rows] += 1
        better = new.error < best.error[rows]
        best = best.replaced(rows[better], new.rows(better))
        going = _open(new.estimate, tolerance)
        slow = bool((new.error > _SLOW * current.error)[going].any())
        rows, current, own = rows[going], new.rows(going), own.rows(going.nonzero()[:, 0])
        mixing.keep(going.nonzero()[:, 0])
        if not len(rows) or done == iterations:
            break
        if slow and (finer := own.finer()) is not None:
            own, mixing = finer, Anderson(memory)
            start, best = (_judged_again(own, one, rows) for one in (start, best))
            current = best.rows(rows)
    return Swept(start, best, count)


def _open(estimate: Tensor, tolerance: float | None) -> Tensor:
    finite = estimate.isfinite()
    return finite if tolerance is None else finite & (estimate > tolerance)


def _judged_again(model: ErrorModel, iterate: Iterate, rows: Tensor) -> Iterate:
    chosen = iterate.rows(rows)
    again = _estimated(model, chosen.states, model.kept(chosen.states), chosen.defects)
    return iterate.replaced(rows, again)
