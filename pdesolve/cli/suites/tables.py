"""The tables of a suite of trained models."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite
from typing import Any

from ...evaluation.tables import Table
from .plan import COST, EPOCHS, FLOORS, RATE, SAMPLES, SECONDS
from .summary import Line

MEGABYTE = 1e6


def error_table(title: str, lines: Sequence[Line], published: Mapping[str, str]) -> Table:
    """Return the table of one budget: a model a line, floors first, then by error.

    Args:
        title: of the table.
        lines: of one variant.
        published: by model, what others reported.
    """
    columns = _columns(lines)
    floors = [line for line in lines if line.model in FLOORS]
    others = sorted((line for line in lines if line.model not in FLOORS), key=_by_error)
    rows = [
        [line.label, *(tell(line) for tell in columns.values()), published.get(line.model, "")]
        for line in [*floors, *others]
    ]
    refused = sorted({line.label for line in lines if any("refused" in n for n in line.remarks)})
    caption = f"Refused: {', '.join(refused)} (for the grid of the training alone)."
    return Table(title, ["model", *columns, "published"], rows, caption if refused else "").shown()


def _columns(lines: Sequence[Line]) -> dict[str, Callable[[Line], str]]:
    finer = sorted({n for line in lines for n in line.figures if re.fullmatch(r"test@\w+/l2", n)})
    zero_shot = {f"L2 at {name[5:-3]} points": _zero_shot(name) for name in finer}
    return {
        "relative L2": _figure("test/l2"),
        "relative H1": _figure("test/h1"),
        "large, middle, small scales": _bands,
        "L2 of rollouts": _figure("test/rollout/l2"),
        "residual (of the truth)": _residual,
        **zero_shot,
        "estimated error (ratio)": _estimated,
        "90 % ball (held)": _ball,
        "parameters": lambda line: _count(line.mean("parameters")),
        "epochs": lambda line: _count(line.mean("epochs")),
        "training s": lambda line: _short(line.mean("seconds")),
        "inference ms": lambda line: _short(line.mean("inference_milliseconds")),
        "step MB": lambda line: _short(line.mean("step_bytes"), MEGABYTE),
        "seeds": lambda line: _count(line.seeds or None),
        "note": lambda line: "; ".join(line.reasons),
    }


def headline_table(whole: Table) -> Table:
    """Return the few columns that a reader wants first, and why rows failed."""
    wanted = ("model", "relative L2", "relative H1", "L2 of rollouts", "parameters", "training s")
    kept = [i for i, head in enumerate(whole.heads) if head in (*wanted, "note")]
    rows = [[row[i] for i in kept] for row in whole.rows]
    return Table(whole.title, [whole.heads[i] for i in kept], rows)


def curve_table(lines: Sequence[Line], everything: int) -> Table:
    """Return the errors by number of training samples, with the exponent of their fall."""
    from ...evaluation import scaling_exponent

    curves: dict[tuple[str, str], dict[int, float]] = {}
    for line in lines:
        samples = everything if line.variant == EPOCHS else int(line.variant.partition("=")[2])
        error = line.mean("test/l2")
        if error and isfinite(error) and line.model not in FLOORS:
            curves.setdefault((line.model, line.label), {})[samples] = error
    sizes = sorted({size for curve in curves.values() for size in curve})
    rows = []
    for (_, label), curve in sorted(curves.items(), key=lambda one: min(one[1].values())):
        exponent = f"{scaling_exponent(curve):.2f}" if len(curve) > 1 else ""
        rows.append([label, *(_short(curve.get(size)) for size in sizes), exponent])
    return Table(
        "Errors by number of training samples",
        ["model", *(f"{size} samples" for size in sizes), "exponent a"],
        rows,
        "Relative L2 error; as many steps of training each. E = C S^-a by least squares.",
    ).shown()


def cost_table(lines: Sequence[Line]) -> Table:
    """Return time and memory of a training step by grid, with the exponents of their growth."""
    points = sorted({int(n.partition("@")[2]) for line in lines for n in line.figures if "@" in n})
    heads = ["model", *(f"ms at {n}" for n in points), *(f"MB at {n}" for n in points)]
    heads += ["exponent of time", "exponent of memory", "note"]
    rows = []
    finest = f"step_seconds@{points[-1]}" if points else ""
    for line in sorted(lines, key=lambda one: one.mean(finest) or 1e9):
        times = [_short(line.mean(f"step_seconds@{n}"), 1e-3) for n in points]
        memory = [_short(line.mean(f"step_bytes@{n}"), MEGABYTE) for n in points]
        growth = [_short(line.mean(f"exponent/{name}")) for name in ("step_seconds", "step_bytes")]
        notes = [*line.reasons, *line.remarks.values()]
        rows.append([line.label, *times, *memory, *growth, "; ".join(notes)])
    return Table(
        "Cost by grid",
        heads,
        rows,
        "Forward and backward pass: time a sample, memory of tensors for a batch of four. "
        "Exponents b of cost = a N^b over N points in all.",
    ).shown()


def rate_table(
    searched: Sequence[Line], trained: Sequence[Line], budget: str, amount: float
) -> Table:
    """Return the validation error by learning rate, the best rate, and the one of the tables.

    Args:
        searched: lines of one learning rate each.
        trained: those of the tables.
        budget: "epochs" or "seconds", of both.
        amount: of the budget, in the search.
    """
    found: dict[str, dict[str, Line]] = {}
    for line in searched:
        if _budget_of(line, budget) == amount:
            found.setdefault(line.model, {})[line.variant.removeprefix(RATE[budget])] = line
    rates = sorted({rate for of in found.values() for rate in of}, key=float)
    used = {line.model: line.task["config"].get("optimizer", {}).get("lr") for line in trained}
    rows = []
    for model, of in found.items():
        errors = {rate: line.mean("valid/l2") for rate, line in of.items()}
        known = {rate: error for rate, error in errors.items() if error and isfinite(error)}
        best = min(known, key=known.__getitem__, default="")
        edge = " (edge)" if best in (rates[0], rates[-1]) else ""
        cells = [_rate_cell(of[rate]) if rate in of else "" for rate in rates]
        label = next(iter(of.values())).label
        rows.append([label, *cells, best + edge, _short(used.get(model))])
    return Table(
        f"Learning rates for equal {'epochs' if budget == EPOCHS else 'time'}",
        ["model", *rates, "best", "of the table above"],
        rows,
        f"Relative L2 error on the validation split after {amount:g} {budget} of the first seed. "
        "The test split was not looked at.",
    )


def _budget_of(line: Line, budget: str) -> float | None:
    """Return the epochs or seconds that a line's models were given."""
    if budget == SECONDS:
        return line.task["seconds"]
    return line.task["config"].get("trainer", {}).get("epochs")


def _rate_cell(line: Line) -> str:
    if "diverged" in line.remarks:
        return "diverged"
    return _short(line.mean("valid/l2")) or "; ".join(line.reasons)


def published_figures(models: Sequence[Any], suite: str) -> dict[str, str]:
    """Return what each model's file says that others reported on such data, by model."""
    return {
        model.name: "; ".join(
            f"{one['value']} ({one['setting']}; {one['source']}; {one['status']})"
            for one in model.published
            if one["suite"] == suite
        )
        for model in models
    }


def variants(lines: Sequence[Line], *names: str) -> list[Line]:
    """Return the lines of some variants; a name that ends in = stands for all that begin so."""
    prefixes = tuple(name for name in names if name.endswith("="))
    return [
        one for one in lines if one.variant in names or one.variant.startswith(prefixes or "\0")
    ]


def tables(lines_: Sequence[Line], plan: Mapping[str, Any], told: Mapping[str, str]) -> list[Table]:
    """Return all tables of a suite of trained models, without those that would be empty."""
    floors = [line for line in lines_ if line.model in FLOORS]
    of = variants
    found = []
    if equal := of(lines_, EPOCHS):
        found.append(error_table(f"Equal epochs: {plan['epochs']}", equal, told))
    if equal := of(lines_, SECONDS):
        title = f"Equal time: about {plan['seconds']:g} s of training, in whole epochs"
        found.append(error_table(title, [*floors, *equal], told))
    if of(lines_, SAMPLES):
        found.append(curve_table(of(lines_, EPOCHS, SAMPLES), plan["all_samples"]))
    if costs := of(lines_, COST):
        found.append(cost_table(costs))
    for budget, rate in RATE.items():
        if searched := of(lines_, rate):
            found.append(rate_table(searched, of(lines_, budget), budget, plan[f"rate_{budget}"]))
    return found


def _by_error(line: Line) -> float:
    error = line.mean("test/l2")
    return error if error is not None and isfinite(error) else inf


def _figure(name: str) -> Callable[[Line], str]:
    def told(line: Line) -> str:
        spread = line.spread(name)
        return _short(line.mean(name)) + (f" ± {spread:.1g}" if spread is not None else "")

    return told


def _zero_shot(name: str) -> Callable[[Line], str]:
    figure = _figure(name)

    def told(line: Line) -> str:
        if f"{name.removesuffix('l2')}refused" in line.remarks:
            return "refused"
        rival = line.mean(f"reference/interpolation/{name}")
        return f"{figure(line)} (interpolated {_short(rival)})" if rival else figure(line)

    return told


def _bands(line: Line) -> str:
    values = [line.mean(f"test/band_{band}") for band in ("low", "mid", "high")]
    return ", ".join(_short(value) for value in values) if all(values) else ""


def _residual(line: Line) -> str:
    value, truth = line.mean("test/residual"), line.mean("test/residual_of_truth")
    return "" if value is None else f"{_short(value)} ({_short(truth)})"


def _estimated(line: Line) -> str:
    value, ratio = line.mean("test/estimated"), line.mean("test/estimated_ratio")
    return "" if value is None else f"{_short(value)} ({_short(ratio)})"


def _ball(line: Line) -> str:
    size, held = line.mean("conformal/radius"), line.mean("conformal/coverage")
    return "" if size is None or held is None else f"{_short(size)} ({100 * held:.0f} %)"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _short(value: float | None, unit: float = 1.0) -> str:
    return "" if value is None else f"{value / unit:.3g}"
