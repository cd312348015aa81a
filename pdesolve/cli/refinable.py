"""A dataset's equation, asked about predictions in the layout of the dataset's own batches."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .failures import UsageError
from .sets import equation_of

Kind = Literal["steady", "frames", "lead"]

# What an error bar from the equation cannot see, for reports.
UNSEEN = {
    "the known state": "the refined field continues it, errors and all; so does the classical "
    "solver, and neither the residual nor the estimate sees them",
    "the grid": "everything is relative to the discrete solution on this grid, whose own error "
    "counts as none; ask at another stride to see it",
    "the equation": "its form and parameters are taken as true, those that the data name",
    "time steps": "of the equation's solver; refinement tells the error that they leave (floor)",
}


@dataclass(frozen=True)
class Refinable:
    """What `training.refine` needs to know of a dataset.

    Args:
        equation: that the dataset solves.
        grid: of its fields.
        kind: how targets relate to inputs: a steady field, frames after the last one of x, or one
            state a lead time after x.
        step: time from a frame to the next.
        fields: names of the channels of x that the equation takes, "" for those that are frames.
        numbers: names of the condition.
    """

    equation: Any
    grid: Any
    kind: Kind
    step: float
    fields: Sequence[str]
    numbers: Sequence[str]

    @property
    def unseen(self) -> dict[str, str]:
        """What estimates cannot see, by name."""
        steady = ("the grid", "the equation")
        return {k: v for k, v in UNSEEN.items() if self.kind != "steady" or k in steady}

    def solution(self, batch: Any, prediction: Any, **options: Any) -> Any:
        """Return the Solution of `training.refine` for predictions (b, c, *grid) of a batch."""
        from ..training import refine

        given = self._given(batch)
        if self.kind == "steady":
            return refine(prediction, self.equation, grid=self.grid, given=given, **options)
        return refine(
            prediction[:, None],
            self.equation,
            grid=self.grid,
            given=given,
            history=self._history(batch),
            step=self._step(batch),
            **options,
        )

    def estimates(self, batch: Any, prediction: Any) -> Any:
        """Return the estimated relative L2 error of each prediction, (b,), float64."""
        if self.kind != "lead":
            return self.solution(batch, prediction, method="estimate").stats["estimate"]
        # One call for each lead time: all samples of a call take the same step.
        leads = batch.condition[:, 0]
        found = leads.new_full((len(leads),), float("nan")).double()
        for lead in leads.unique():
            rows = leads == lead
            part = _rows(batch, rows)
            if lead > 0:
                solution = self.solution(part, prediction[rows], method="estimate")
                found[rows] = solution.stats["estimate"]
            else:
                change = (prediction[rows] - self._history(part)[:, 0, -1:]).double().flatten(1)
                found[rows] = change.norm(dim=1) / prediction[rows].double().flatten(1).norm(dim=1)
        return found

    def layout(self, value: Any) -> Any:
        """Return the value of a Solution as (b, c, *grid), like the prediction."""
        return value if self.kind == "steady" else value[:, 0]

    def classical(self, batch: Any) -> tuple[Any, float]:
        """Return what the equation's own solver makes of the known state, and its seconds."""
        import torch

        from ..training.refinement.evolution import Evolution

        given = {name: value.double() for name, value in self._given(batch).items()}
        if self.kind == "steady":
            started = time.perf_counter()
            solution = self.equation.solve(**given, grid=self.grid, raise_on_failure=False)
            return solution.value, time.perf_counter() - started
        state = self._history(batch)[:, 0, -1].double()
        step, frames = self._step(batch), []
        model = Evolution(self.equation, self.grid, step, state, given)
        substeps = model.stable(state[:, None]).substeps
        started = time.perf_counter()
        for _ in range(batch.y.shape[1]):
            state = self.equation.step(state, step, substeps, grid=self.grid, **given)
            frames.append(state)
        return torch.stack(frames, 1), time.perf_counter() - started

    def _given(self, batch: Any) -> dict[str, Any]:
        numbers = () if batch.condition is None else batch.condition.unbind(1)
        named = dict(zip(self.fields, batch.x.unbind(1), strict=True))
        named |= dict(zip(self.numbers, numbers, strict=True))
        if batch.mask is not None:
            named["mask"] = batch.mask[:, 0]
        taken = {*self.equation.inputs, *getattr(self.equation, "parameters", ())} - {"initial"}
        return {name: value for name, value in named.items() if name in taken}

    def _history(self, batch: Any) -> Any:
        frames = [k for k, name in enumerate(self.fields) if not name]
        return batch.x[:, frames][:, None]

    def _step(self, batch: Any) -> float:
        return float(batch.condition[0, 0]) if self.kind == "lead" else self.step


def refinable(dataset: Any) -> Refinable | str:
    """Return what `training.refine` needs, or the reason why a dataset's equation cannot be asked.

    The equation is the one that the dataset names; its window says what the channels are.
    """
    from ..datasets import Pairs, Window
    from ..datasets.windows import quantity

    # Members of a mixture have an equation each, and the mixture none.
    name = getattr(dataset, "equation", "")
    equation = equation_of(dataset) if name else None
    if equation is None:
        return f"pdesolve knows no equation {name!r}" if name else "the data names no equation"
    if dataset.grid is None or any(dataset.grid.offset):
        return "the stored sub-grid lacks the walls" if dataset.grid else "the points are scattered"
    unknowns = sorted({quantity(one) for one in dataset.output_names})
    if len(unknowns) > 1:
        return f"{name} is asked about one unknown, the data has {', '.join(unknowns)}"
    if hasattr(equation, "correction"):
        return _steady(equation, dataset)
    if not (hasattr(equation, "step") and hasattr(equation, "substeps")):
        return f"{name} has neither a stepper nor a correction"
    if isinstance(dataset.window, Window | Pairs):
        fields = [
            "" if k >= dataset.fixed_channels else one for k, one in enumerate(dataset.input_names)
        ]
        lead = isinstance(dataset.window, Pairs)
        return _evolving(equation, dataset, fields, "lead" if lead else "frames",
                         dataset.frame_spacing)  # fmt: skip
    return _from_the_start(equation, dataset)


def _steady(equation: Any, dataset: Any) -> Refinable | str:
    names = [one for one in dataset.input_names if one != "mask"]
    if set(names) != set(equation.inputs) - {"mask"}:
        return f"the inputs {names} are not those of the equation, {list(equation.inputs)}"
    fields = list(dataset.input_names)
    return Refinable(equation, dataset.grid, "steady", 0.0, fields, dataset.condition_names)


def _evolving(
    equation: Any, dataset: Any, fields: Sequence[str], kind: Kind, step: float
) -> Refinable | str:
    known = {*fields, *dataset.condition_names}
    wanted = {one for one in equation.inputs if one != "initial"}
    wanted |= set(getattr(equation, "parameters", ()))
    if lacking := sorted(wanted - known):
        return f"{', '.join(lacking)} is no input of the data: open it with window.fixed=true"
    return Refinable(equation, dataset.grid, kind, step, fields, dataset.condition_names)


def _from_the_start(equation: Any, dataset: Any) -> Refinable | str:
    """Targets at stored times, from the state at time 0."""
    times: tuple[float, ...] = dataset.target_times or (0.0,)
    if "initial" not in dataset.input_names or getattr(equation, "warm_up", 0.0):
        return "the state from which the targets develop is no input"
    step = times[0]
    even = all(abs(t - step * (k + 1)) < 1e-6 * times[-1] for k, t in enumerate(times))
    if not step or not even:
        return f"the targets lie at {times[:4]}, not at equal distances from time 0"
    fields = ["" if one == "initial" else one for one in dataset.input_names]
    return _evolving(equation, dataset, fields, "frames", step)


def _rows(batch: Any, rows: Any) -> Any:
    from ..batch import Batch

    def some(value: Any) -> Any:
        return None if value is None else value[rows]

    return Batch(batch.x[rows], batch.y[rows], batch.grid, some(batch.condition),
                 batch.condition_names, some(batch.mask))  # fmt: skip


def estimator_of(dataset: Any) -> Any | None:
    """Return `estimate(batch, prediction) -> (b,)`, or None where the equation cannot be asked."""
    found = refinable(dataset)
    return None if isinstance(found, str) else found.estimates


def unseen_of(dataset: Any) -> dict[str, str]:
    """Return what estimates for a dataset cannot see, nothing where there are none."""
    found = refinable(dataset)
    return {} if isinstance(found, str) else found.unseen


def options_of(config: Any) -> Mapping[str, Any]:
    """Return the arguments of `training.refine` that a config names."""
    from ..training import Tuning

    names = ("method", "tolerance", "iterations", "coarse", "block")
    options = {name: config.get(name) for name in names if name in config}
    for name, value in options.items():
        if name != "method" and value is not None and not isinstance(value, int | float):
            raise UsageError(f"{name} is {value!r}, expected a number or null")
    if config.get("tuning") is not None:
        try:
            options["tuning"] = Tuning(**config.tuning)
        except (TypeError, ValueError) as error:
            raise UsageError(f"tuning: {error}") from error
    return options
