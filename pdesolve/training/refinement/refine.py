"""A prediction judged and corrected by the equation itself, without labels."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...grid import Grid
from ...ops import fourier
from ...solution import Solution
from .checks import Method, check_fields, check_options
from .evolution import Evolution, coarse_shape
from .published import tune_as_published
from .steady import Steady
from .sweep import Iterate, Swept, judged, sweep
from .tune import LastLayer, Tuning, check_starts_at, frozen_operator, trial_of, tune

# After a descent on an estimate that estimate is too small, by up to so much.
_OPTIMISM = 1.5
_MOST_SWEEPS = 9
_TUNING_STEPS = 30
_PUBLISHED_STEPS = 50


def refine(
    prediction: Float[Tensor, "b ..."],
    equation: Any,
    *,
    grid: Grid,
    history: Float[Tensor, "..."] | None = None,
    step: float | None = None,
    given: Mapping[str, Tensor] | None = None,
    method: Method = "sweep",
    tolerance: float | None = None,
    iterations: int | None = None,
    coarse: float | None = 0.5,
    block: int | None = None,
    tuning: Tuning | None = None,
    model: nn.Module | None = None,
    inputs: Float[Tensor, "..."] | None = None,
) -> Solution:
    """Return a prediction with its estimated error, and refined by the equation's own residual.

    A trajectory h_1 ... h_n that should continue a known state h_0 has the one-step defects
    d_l = Φ(h_{l-1}) - h_l, Φ being the equation's solver over one step. Carried forward they are
    the error of the prediction to first order, and their norm is an error bar:

        e_l = G(h_{l-1} + e_{l-1}) - G(h_{l-1}) + d_l,   estimate = ‖e‖ / ‖h + e‖ in space and time

    with G = Φ on a coarser grid, for the large scales, and the equation's linear part for the
    others. A sweep adds e to h. A linear steady equation is asked for the solution of A e = f - A u
    instead.

        "estimate"  the error bar only
        "sweep"     h <- h + e, more than once with a tolerance, mixed by Anderson's rule
        "tune"      descent on ‖e‖, e carried by the linear part, over the parameters of `tuning`
        "published" descent of the operator's last layer as in the Spectral-Refiner's public code

    The iterate of the smallest ‖e‖ is kept, and the prediction itself where none is smaller;
    "published" keeps its last one.

    What no residual sees, and no estimate counts: an error of the known states, of the equation
    and its parameters, and of the grid. Everything is relative to the discrete solution from the
    last known state on that grid. Of the time steps of Φ the stats tell (`floor`). With an exact
    known state the classical solver alone is as accurate and never slower on one core; this is
    for many predictions in one batch, most of which are good enough.

    Args:
        prediction: one unknown, (b, 1, n, *grid) of an evolution or (b, 1, *grid) of a steady
            equation; on another periodic grid than `grid` it is resampled.
        equation: with `step` and `substeps`, or with `correction`: see `pdesolve.pde`.
        grid: of the result, without time.
        history: known states before the prediction, the last being h_0, on `grid`. None for a
            steady equation.
        step: time from a state to the next. None for a steady equation.
        given: further fields and numbers by the names that the equation uses, such as forcing
            or coefficient, (b, ...).
        method: one of the table.
        tolerance: of the estimate. Samples that are better already are returned as they are.
        iterations: by default one sweep, nine at most with a tolerance, or thirty tuning steps.
        coarse: share of the points per axis of the grid of G; 1 is G = Φ (between walls nothing
            else is possible), None leaves out G: cheaper, and rough where advection rules.
        block: refine so many steps at a time, each from the refined state before it.
        tuning: what is tuned and how.
        model: the operator that predicted, for parameters="last_layer".
        inputs: what it predicted from, in its own dtype and layout.

    Returns:
        Solution with the refined prediction in its dtype; converged says whether the estimate is
        within the tolerance, or finite without one. Stats, each (b,): estimate and residual
        (H^-1 norm of d / step, or the relative one of a steady equation) after, and before under
        `estimate/before`, `residual/before`; `estimate/slices`, `estimate/slices/before` (b, n);
        iterations; refined, 1 where the result is not the prediction itself; floor, the error
        that the time steps of Φ leave. `layers.SpectralCorrection.store` holds value - prediction
        in a spectral layer.

    Raises:
        ValueError: shapes, or options that the equation cannot serve.
    """
    check_options(method, tolerance, iterations, coarse, block, evolves=history is not None)
    check_fields(prediction, equation, grid, history, step, inputs)
    known = {name: _double(value) for name, value in (given or {}).items()}
    error_model, states = _posed(prediction, equation, grid, history, step, known, coarse)
    rough = isinstance(error_model, Evolution) and error_model.coarse is None
    # What is too small by so much has to be smaller.
    wanted = tolerance / _OPTIMISM if rough and tolerance is not None else tolerance
    if method == "estimate":
        swept = _judged_only(error_model, states)
    elif method == "sweep":
        most = iterations or (1 if tolerance is None else _MOST_SWEEPS)
        with torch.no_grad():
            swept = _swept(error_model, states, block, tolerance=wanted, iterations=most)
    else:
        chosen = tuning or Tuning()
        if method == "published":
            chosen = Tuning("last_layer", time_modes=6)
        frozen = frozen_operator(error_model, chosen, model, inputs)
        before = states if history is None else _double(history)[:, 0]
        swept = _joined([
            _tuned(method, error_model.rows(row), states[row], before[row], chosen, frozen,
                   None if inputs is None else inputs[row], iterations, wanted)
            for row in torch.arange(len(states), device=states.device).split(1)
        ])  # fmt: skip
    return _solution(
        prediction, error_model, _less_optimistic(swept) if rough else swept, tolerance
    )


def _posed(
    prediction: Tensor,
    equation: Any,
    grid: Grid,
    history: Tensor | None,
    step: float | None,
    given: Mapping[str, Tensor],
    coarse: float | None,
) -> tuple[Any, Tensor]:
    """Return how the equation carries errors, and the prediction as the states that it takes."""
    if history is None or step is None:
        return Steady(equation, grid, given), _double(prediction)
    share = None if coarse is None else coarse_shape(grid, coarse)
    if not all(grid.periodic) and share is not None:
        share = grid.shape
    anchor = _double(history)[:, 0, -1]
    states = _on(grid, _double(prediction))[:, 0]
    return Evolution(equation, grid, step, anchor, given, share).stable(states), states


@torch.no_grad()
def _judged_only(model: Any, states: Tensor) -> Swept:
    start = judged(model, states)
    return Swept(start, start, torch.zeros(len(states), dtype=torch.int64, device=states.device))


def _tuned(
    method: Method,
    model: Evolution,
    states: Tensor,
    known: Tensor,
    tuning: Tuning,
    frozen: nn.Module | None,
    x: Tensor | None,
    iterations: int | None,
    tolerance: float | None,
) -> Swept:
    """Return what descent finds for one sample."""
    trial = trial_of(model, states, tuning, frozen, x)
    check_starts_at(trial, states)
    if method == "published" and isinstance(trial, LastLayer):
        return tune_as_published(model, states, trial, iterations=iterations or _PUBLISHED_STEPS)
    return tune(
        model, states, trial, tuning=tuning, iterations=iterations or _TUNING_STEPS,
        tolerance=tolerance, known=known,
    )  # fmt: skip


def _less_optimistic(swept: Swept) -> Swept:
    """Return what descent on the estimate itself has found, whose estimate is then too small."""
    best = swept.best
    factor = torch.where(_changed(swept), _OPTIMISM, 1.0)
    larger = replace(best, estimate=factor * best.estimate, slices=factor[:, None] * best.slices)
    return replace(swept, best=larger)


def _changed(swept: Swept) -> Tensor:
    """Return which samples are not the prediction any more, (b,); NaN equals NaN."""
    return (swept.best.states.nan_to_num() != swept.start.states.nan_to_num()).flatten(1).any(1)


def _swept(
    model: Any, states: Tensor, block: int | None, *, tolerance: float | None, iterations: int
) -> Swept:
    if block is None or not isinstance(model, Evolution) or block >= states.shape[1]:
        return sweep(model, states, tolerance=tolerance, iterations=iterations)
    start, own = judged(model, states), model
    refined, most = [], torch.zeros(len(states), dtype=torch.int64, device=states.device)
    for part in states.split(block, 1):
        memory = 0 if part.shape[1] <= iterations else None
        found = sweep(own, part, tolerance=tolerance, iterations=iterations, memory=memory)
        refined.append(found.best.states)
        most = torch.maximum(most, found.iterations)
        own = own.after(refined[-1][:, -1])
    new = judged(model, torch.cat(refined, 1))
    better = (new.error < start.error).nonzero()[:, 0]
    return Swept(start, start.replaced(better, new.rows(better)), most)


def _joined(found: list[Swept]) -> Swept:
    """Return what was found of single samples as one batch."""
    start, best = (
        Iterate(
            *(
                torch.cat([getattr(getattr(one, part), name.name) for one in found])
                for name in fields(Iterate)
            )
        )
        for part in ("start", "best")
    )
    return Swept(start, best, torch.cat([one.iterations for one in found]))


@torch.no_grad()
def _solution(prediction: Tensor, model: Any, swept: Swept, tolerance: float | None) -> Solution:
    start, best = swept.start, swept.best
    converged = best.estimate.isfinite()
    if tolerance is not None:
        converged = best.estimate <= tolerance
    stats = {
        "estimate": best.estimate,
        "estimate/before": start.estimate,
        "estimate/slices": best.slices,
        "estimate/slices/before": start.slices,
        "residual": model.residual(best.states, best.defects),
        "residual/before": model.residual(start.states, start.defects),
        "iterations": swept.iterations,
        "refined": _changed(swept).to(torch.int64),
    }
    value = best.states
    if isinstance(model, Evolution):
        stats["floor"] = model.floor(model.kept(best.states))
        value = value[:, None]
    return Solution(value.to(prediction.dtype), model.grid, converged, stats,
                    _message(best, converged, tolerance))  # fmt: skip


def _message(best: Iterate, converged: Tensor, tolerance: float | None) -> str:
    if bool(converged.all()):
        return "converged"
    wild = ~best.estimate.isfinite()
    if bool(wild.any()):
        return (
            f"{int(wild.sum())} estimates are not finite: the prediction holds NaN or infinity, or "
            "is too wild for the equation's steps"
        )
    return (
        f"estimated errors up to {float(best.estimate.max()):.1e} where {tolerance:.1e} was asked: "
        "allow more iterations, a larger share `coarse`, or solve these samples classically"
    )


def _on(grid: Grid, prediction: Tensor) -> Tensor:
    """Return a prediction on a grid: with more points its new modes are zero."""
    shape = tuple(prediction.shape[3:])
    if shape == grid.shape:
        return prediction
    if not all(grid.periodic):
        raise ValueError(
            f"prediction lies on {shape} points, expected {grid.shape}: only periodic fields are "
            "resampled"
        )
    return fourier.resample(prediction, grid.shape)


def _double(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value
