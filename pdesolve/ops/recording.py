"""Trajectories at recorded times, each interval halved until two step sizes agree."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..grid import Grid
from ..solution import Solution

# (state (r, *grid), duration, substeps, rows (r,)) -> state after that time. `rows` says which
# samples of the batch these are, for equations whose parameters differ from sample to sample.
Advance = Callable[[Tensor, float, int, Tensor], Tensor]


class Trajectories(NamedTuple):
    """What `record` returns.

    frames: (b, t, *grid), the states at the recorded times.
    change: (b,), largest relative change of a frame when the steps before it were halved.
    substeps: (b,), steps that the accepted intervals took together.
    """

    frames: Float[Tensor, "b t *grid"]
    change: Float[Tensor, " b"]
    substeps: Int[Tensor, " b"]


def record(
    advance: Advance,
    initial: Float[Tensor, "b *grid"],
    times: Sequence[float],
    *,
    tolerance: float,
    max_substeps: int = 2**16,
) -> Trajectories:
    """Return the states at the recorded times, starting from `initial` at time 0.

    Every interval is taken with 2, 4, 8, ... steps until the state at its end changes by no more
    than `tolerance` (relative L2), for each sample on its own; the finer result is kept. With a
    scheme of order four its error is about a fifteenth of the change.

    Args:
        advance: the stepper.
        initial: states at time 0.
        times: increasing, >= 0; a first time of 0 records the initial state itself.
        tolerance: of the relative change.
        max_substeps: of one interval; beyond, the last state is kept and `change` tells.

    Raises:
        ValueError: the times are not increasing.
    """
    if not times or times[0] < 0 or any(b <= a for a, b in pairwise(times)):
        raise ValueError(f"times is {tuple(times)}, expected increasing numbers from >= 0 on")
    state, now = initial, 0.0
    change = torch.zeros(len(initial), dtype=torch.float64, device=initial.device)
    substeps = torch.zeros(len(initial), dtype=torch.int64, device=initial.device)
    frames = []
    for time in times:
        if time > now:
            state, moved, taken = _interval(advance, state, time - now, tolerance, max_substeps)
            change, substeps = torch.maximum(change, moved), substeps + taken
        frames.append(state)
        now = time
    return Trajectories(torch.stack(frames, 1), change, substeps)


def recorded_solution(
    advance: Advance,
    initial: Float[Tensor, "b *grid"],
    times: Sequence[float],
    *,
    grid: Grid,
    tolerance: float,
    max_substeps: int,
    advice: str,
    raise_on_failure: bool,
) -> Solution:
    """Return `record`, made in float64, as the Solution of an equation with one unknown.

    Args:
        advance, initial, times, tolerance, max_substeps: of `record`.
        grid: of the initial state, without time.
        advice: what to try where a sample does not settle.
        raise_on_failure: False returns what was reached, with `converged` False.

    Returns:
        Solution with value (b, 1, t, *grid) of the dtype of `initial`, and stats residual (the
        relative change when steps are halved) and iterations (steps taken), each (b,).

    Raises:
        ConvergenceError: a sample changed by more than the tolerance after max_substeps.
    """
    frames, change, substeps = record(
        advance, initial.double(), times, tolerance=tolerance, max_substeps=max_substeps
    )
    converged = change <= tolerance
    return Solution(
        value=frames[:, None].to(initial.dtype),
        grid=grid,
        converged=converged,
        stats={"residual": change, "iterations": substeps},
        message="converged"
        if bool(converged.all())
        else f"halving the steps still changed a state by {float(change.max()):.1e}: {advice}",
    ).checked(raise_on_failure=raise_on_failure)


def _interval(
    advance: Advance, state: Tensor, duration: float, tolerance: float, max_substeps: int
) -> tuple[Tensor, Tensor, Tensor]:
    rows = torch.arange(len(state), device=state.device)
    reached = advance(state, duration, 1, rows)
    change = torch.full((len(state),), torch.inf, dtype=torch.float64, device=state.device)
    taken = torch.ones_like(rows)
    substeps = 1
    while len(rows) and substeps < max_substeps:
        substeps *= 2
        finer = advance(state[rows], duration, substeps, rows)
        moved = relative_change(finer, reached[rows])
        reached, change = reached.index_copy(0, rows, finer), change.index_copy(0, rows, moved)
        taken = taken.index_fill(0, rows, substeps)
        # Written so that NaN, the sign of a step too large to be stable, counts as changed.
        rows = rows[~(moved <= tolerance)]
    return reached, change, taken


def relative_change(
    u: Float[Tensor, "b *grid"], reference: Float[Tensor, "b *grid"]
) -> Float[Tensor, " b"]:
    """Return ||u - reference|| / ||u|| of each sample, 0 where both are zero, float64."""
    size = torch.linalg.vector_norm(u.flatten(1).double(), dim=1)
    moved = torch.linalg.vector_norm((u - reference).flatten(1).double(), dim=1)
    return torch.where(moved == 0, moved, moved / size)


def defect(
    advance: Callable[[Tensor, float], Tensor],
    frames: Float[Tensor, "b t *grid"],
    initial: Float[Tensor, "b *grid"],
    times: Sequence[float],
) -> Float[Tensor, " b"]:
    """Return how far recorded states are from the equation's own steps between them.

        (Σ_i ||u_i - Φ(u_{i-1}, t_i - t_{i-1})||² / Σ_i ||u_i||²)^(1/2),   u_{-1} = initial at t = 0

    It needs no time derivative, so the recorded times may be far apart. A first time of 0 compares
    the first frame with the initial state.

    Args:
        advance: (states (b, *grid), duration) -> states after that time.
        frames: states at the recorded times.
        initial: states at time 0.
        times: of the frames.
    """
    before = torch.cat([initial[:, None], frames[:, :-1]], 1)
    starts = (0.0, *times[:-1])
    stepped = [
        advance(before[:, i], time - start) if time > start else before[:, i]
        for i, (start, time) in enumerate(zip(starts, times, strict=True))
    ]
    return relative_change(frames, torch.stack(stepped, 1))


def recorded_defect(
    advance: Advance,
    frames: Float[Tensor, "b t *grid"],
    initial: Float[Tensor, "b *grid"],
    times: Sequence[float],
    *,
    tolerance: float,
) -> Float[Tensor, " b"]:
    """Return `defect`, in float64, with steps that `record` halves down to the tolerance."""

    def settled(state: Tensor, duration: float) -> Tensor:
        return record(advance, state, (duration,), tolerance=tolerance).frames[:, 0]

    return defect(settled, frames.double(), initial.double(), times)
