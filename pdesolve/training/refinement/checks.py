"""What a refinement is asked for, checked before any of it is computed."""

from typing import Any, Literal, get_args

from torch import Tensor

from ...grid import Grid

Method = Literal["estimate", "sweep", "tune", "published"]


def check_fields(
    prediction: Tensor,
    equation: Any,
    grid: Grid,
    history: Tensor | None,
    step: float | None,
    inputs: Tensor | None,
) -> None:
    """Raise ValueError where the fields do not fit each other or what the equation can tell."""
    name = type(equation).__name__
    evolves = hasattr(equation, "step") and hasattr(equation, "substeps")
    if not evolves and not hasattr(equation, "correction"):
        raise ValueError(
            f"equation {name} has neither step and substeps nor correction, expected one of the "
            "two: NavierStokes2d, Burgers1d, AllenCahn, Advection, FisherKPP, Darcy, Poisson or "
            "Helmholtz2d have"
        )
    if evolves != (history is not None and step is not None):
        wanted = "history and step" if evolves else "no history and no step"
        raise ValueError(
            f"history {'was' if history is not None else 'was not'} given and step is {step} for "
            f"{name}, expected {wanted}: it {'evolves' if evolves else 'is steady'}"
        )
    axes = grid.dims + (3 if evolves else 2)
    if prediction.ndim != axes or prediction.shape[1] != 1:
        layout = "(b, 1, t, *grid)" if evolves else "(b, 1, *grid)"
        raise ValueError(
            f"prediction has shape {tuple(prediction.shape)}, expected {layout} with "
            f"{grid.dims} grid axes: one unknown, time before space"
        )
    if not evolves and tuple(prediction.shape[2:]) != grid.shape:
        raise ValueError(
            f"prediction lies on {tuple(prediction.shape[2:])} points, expected {grid.shape}"
        )
    if history is not None:
        _check_history(history, prediction, grid)
    if step is not None and not 0 < step < float("inf"):
        raise ValueError(f"step is {step}, expected the time from a state to the next, > 0")
    if inputs is not None and len(inputs) != len(prediction):
        raise ValueError(
            f"inputs has {len(inputs)} samples and prediction {len(prediction)}, expected as many"
        )


def _check_history(history: Tensor, prediction: Tensor, grid: Grid) -> None:
    fits = history.ndim == grid.dims + 3 and history.shape[1] == 1 and history.shape[2] >= 1
    if not fits or tuple(history.shape[3:]) != grid.shape:
        raise ValueError(
            f"history has shape {tuple(history.shape)}, expected (b, 1, t, *grid) with grid "
            f"{grid.shape}: the known states, the last being where the prediction starts"
        )
    if len(history) != len(prediction):
        raise ValueError(
            f"history has {len(history)} samples and prediction {len(prediction)}, expected as many"
        )
    if not bool(history[:, :, -1].isfinite().all()):
        raise ValueError("history holds NaN or infinity, expected finite known states")


def check_options(
    method: str,
    tolerance: float | None,
    iterations: int | None,
    coarse: float | None,
    block: int | None,
    evolves: bool,
) -> None:
    """Raise ValueError where an option is out of its range or does not go with the method."""
    if method not in get_args(Method):
        raise ValueError(f"method is {method!r}, expected one of {get_args(Method)}")
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance}, expected a relative error > 0 such as 1e-2")
    if coarse is not None and not 0 < coarse <= 1:
        raise ValueError(
            f"coarse is {coarse}, expected a share of the points, 0 < coarse <= 1, or None"
        )
    for name, count in (("iterations", iterations), ("block", block)):
        if count is not None and count < 1:
            raise ValueError(f"{name} is {count}, expected 1 or more, or None")
    if block is not None and (method != "sweep" or not evolves):
        raise ValueError(
            f'block is {block} with method "{method}", expected None: blocks are of sweeps in time'
        )
